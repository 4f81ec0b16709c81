//! The command, as people run it: what it makes, what it explains, and what it says of faults.

use circflow::padding::Machines;
use maybenot::event::Event;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// Runs the command with something on its standard input.
fn run(args: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_circflow-machine"))
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // Beside the reading of its output, as both can be longer than a pipe.
    let feeder = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    // A command that has seen a fault need not read on.
    let _ = feeder.join().unwrap();
    output
}

fn out_of(args: &[&str], input: &[u8]) -> String {
    let output = run(args, input);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// What it says of a fault: on the standard error alone, with a status that says so.
fn fault_of(args: &[&str], input: &[u8]) -> String {
    let output = run(args, input);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{args:?}");
    String::from_utf8(output.stderr).unwrap()
}

fn texts() -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = ["examples/machines", "tests/machines"]
        .iter()
        .flat_map(|folder| fs::read_dir(root().join(folder)).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "txt"))
        .collect();
    all.sort();
    assert!(all.len() > 40, "{all:?}");
    all
}

#[test]
fn each_text_of_the_repository_comes_back_from_its_description() {
    for path in texts() {
        let text = fs::read_to_string(&path).unwrap();
        let description = out_of(&["describe", path.to_str().unwrap()], b"");
        assert_eq!(out_of(&["make", "-"], description.as_bytes()), text, "{path:?}");
    }
}

#[test]
fn each_text_of_the_repository_is_explained_state_by_state() {
    for path in texts() {
        let said = out_of(&["explain", "--all", path.to_str().unwrap()], b"");
        let machines = Machines::load(&fs::read(&path).unwrap()).unwrap();
        let heads = said.lines().filter(|line| line.starts_with("machine ")).count();
        let states = said.lines().filter(|line| line.starts_with("  state ")).count();
        assert_eq!(heads, machines.len(), "{path:?}");
        assert_eq!(states, machines.as_ref().iter().map(|machine| machine.states.len()).sum::<usize>(), "{path:?}");
    }
}

/// FRONT has fifty states that differ only in their numbers: a page, not a book.
#[test]
fn states_that_differ_only_in_numbers_are_told_once() {
    let text = root().join("examples/machines/front-client.txt");
    let said = out_of(&["explain", text.to_str().unwrap()], b"");
    assert!(said.contains("\n  states 2 to 48: the same with other numbers\n"), "{said}");
    for told in ["\n  state 0\n", "\n  state 1\n", "\n  state 49\n", "\n  state 50\n"] {
        assert!(said.contains(told), "{told}");
    }
    assert!(!said.contains("\n  state 2\n") && !said.contains("\n  state 48\n"), "{said}");
    assert!(said.lines().count() < 40, "{said}");
}

/// Every kind of distribution, action, counter and event, and numbers that are hard to write.
const EVERYTHING: &str = r#"
[[machine]]
allowed_padding_packets = "9223372036854775808"
max_padding_frac = 0.1
allowed_blocked_microsec = 9_223_372_036_854_775_807
max_blocking_frac = 1e-9

[[machine.state]]
name = "a b"
action.SendPadding = { bypass = true, timeout.dist.Normal = { mean = 2_500, stdev = 0.1 }, limit.dist.Poisson = { lambda = 3 } }
counter_a = { operation = "Increment" }
counter_b = { operation = "Set", dist.dist.Binomial = { trials = 1_000_000_000, probability = 0.25 } }
on.NormalRecv = [["c", 0.3], ["a b", 0.3], ["SIGNAL", 0.3]]
on.PaddingRecv = [["c", 1.0]]
on.TunnelRecv = [["c", 1.0]]
on.NormalSent = [["c", 1.0]]
on.PaddingSent = [["c", 1.0]]

[[machine.state]]
name = "c"
action.BlockOutgoing.timeout = { dist.Pareto = { scale = 1_000, shape = 2 }, start = 0.5, max = 1.7976931348623157e308 }
action.BlockOutgoing.duration.dist.Weibull = { scale = 60_000_000, shape = 1.5 }
counter_a = { operation = "Decrement", copy = true }
on.TunnelSent = [["END", 1.0]]
on.BlockingBegin = [["2", 1.0]]
on.BlockingEnd = [["2", 1.0]]

[[machine.state]]
action.UpdateTimer.duration.dist.LogNormal = { mu = 7, sigma = 1 }
on.LimitReached = [["3", 0.001]]
on.CounterZero = [["3", 1.0]]

[[machine.state]]
action.Cancel.timer = "All"
counter_b = { operation = "Increment", dist.dist.Geometric = { probability = 0.5 } }
on.TimerBegin = [["4", 1.0]]
on.TimerEnd = [["4", 1.0]]
on.Signal = [["4", 1.0]]

[[machine.state]]
action.SendPadding = { replace = true, timeout.dist.SkewNormal = { location = 5e3, scale = 1, shape = -2 }, limit.dist.Gamma = { scale = 2, shape = 3 } }

[[machine.state]]
action.BlockOutgoing = { bypass = true, replace = true, timeout.dist.Uniform = { low = 0, high = 0 }, duration.dist.Beta = { alpha = 1, beta = 3 } }

[[machine]]
[[machine.state]]
"#;

#[test]
fn every_kind_of_thing_can_be_described_made_and_explained() {
    let text = out_of(&["make", "-"], EVERYTHING.as_bytes());
    assert_eq!(text.lines().count(), 2);
    let again = out_of(&["describe", "-"], text.as_bytes());
    assert_eq!(out_of(&["make", "-"], again.as_bytes()), text, "{again}");
    let machines = Machines::load(text.as_bytes()).unwrap();
    let first = &machines.as_ref()[0];
    assert_eq!((first.allowed_padding_packets, first.allowed_blocked_microsec), (1 << 63, (1 << 63) - 1));

    let said = out_of(&["explain", "-"], text.as_bytes());
    for event in Event::iter() {
        assert!(said.contains(&format!("({event})")), "{event} is not in {said}");
    }
    for line in [
        "machine 1 of 2: 6 states; it begins in state 0",
        "machine 2 of 2: 1 state; it begins in state 0",
        "    sends a padding cell after around 2.5 ms (normal, deviation 0.1 us)",
        "        a block that lets padding pass does not hold it (bypass)",
        "        while it enters this state again and again, so many times at most: 3 on average (Poisson)",
        "    adds 1 to counter A",
        "    sets counter B to 250000000 on average (binomial, 1000000000 trials of 25 %)",
        "        in 30 % of the cases enters this state again",
        "        in 30 % of the cases gives the other machines a signal",
        "    takes the value of counter B from counter A",
        "    when any cell has left (TunnelSent): the machine ends",
        "    sets its own timer to 1.097 ms or less in half of the cases (log-normal, mu 7, sigma 1)",
        "        in 0.1 % of the cases goes to state 3",
        "    takes back what it has scheduled, and stops its own timer",
        "    adds 1 on average (geometric, 50 %) to counter B",
        "    at once holds back what is sent, for 0.25 us on average, up to 1 us (beta, alpha 1, beta 3)",
        "        it takes the place of a block that is on (replace)",
        "    does nothing",
    ] {
        assert!(said.lines().any(|said| said == line), "no {line:?} in {said}");
    }
}

/// A machine of one state with these lines.
fn state(lines: &str) -> String {
    format!("[[machine]]\n[[machine.state]]\n{lines}\n")
}

#[test]
fn a_description_that_cannot_be_is_refused_with_its_place() {
    let long: String = format!("[[machine]]\n{}", "[[machine.state]]\n".repeat(100_001));
    let cases: Vec<(String, &[&str])> = vec![
        ("".into(), &["the standard input", "missing field `machine`"]),
        ("machine = []".into(), &["no machine"]),
        ("machine = [".into(), &["line 1", "unclosed array"]),
        ("[[machine]]\nstat = 1".into(), &["line 2", "unknown field `stat`", "`state`"]),
        ("[[machine]]\nstate = []".into(), &["machine 1", "at least one state"]),
        (long, &["machine 1", "too many states"]),
        ("[[machine]]\nallowed_padding_packets = -1\n[[machine.state]]".into(), &["line 2", "whole number"]),
        ("[[machine]]\nallowed_padding_packets = \"much\"\n[[machine.state]]".into(), &["machine 1", "\"much\""]),
        ("[[machine]]\nmax_padding_frac = 1.5\n[[machine.state]]".into(), &["machine 1", "max_padding_frac", "1.5"]),
        (state("on.NormalSnt = [[\"0\", 1.0]]"), &["line 3", "`NormalSnt`", "`NormalSent`"]),
        (state("on.NormalSent = [[\"b\", 1.0]]"), &["machine 1", "state \"0\"", "NormalSent", "\"b\"", "no state"]),
        (state("on.NormalSent = [[\"0\", 1.5]]"), &["state \"0\"", "probability 1.5"]),
        (state("on.NormalSent = [[\"0\", 0.5], [\"0\", 0.5]]"), &["state \"0\"", "duplicate"]),
        (state("on.NormalSent = [[\"0\", 0.9], [\"END\", 0.9]]"), &["state \"0\"", "1.8"]),
        (state("name = \"END\""), &["machine 1", "END"]),
        (state("name = \"1\"\n[[machine.state]]"), &["machine 1", "two states", "\"1\""]),
        (state("action.SendPading.timeout = 1"), &["line 3", "`SendPading`", "`SendPadding`"]),
        (state("action.SendPadding.bypass = true"), &["line 3", "missing field `timeout`"]),
        (state("action.SendPadding.timeout.dist.Uniform = { low = 1 }"), &["line 3", "missing field `high`"]),
        (state("action.SendPadding.timeout.dist.Uniform = { low = 5, high = 1 }"), &["state \"0\"", "low > high"]),
        (state("action.SendPadding.timeout.dist.Uniform = { low = nan, high = nan }"), &["state \"0\"", "NaN"]),
        (state("counter_a.operation = \"Add\""), &["line 3", "`Add`", "`Increment`"]),
        // maybenot would take these; an engine of circflow does not.
        (state("action.SendPadding.timeout.dist.Poisson = { lambda = 1e18 }"), &["machine 1", "state 0", "1e15"]),
        (state("").repeat(65), &["machine 65", "64"]),
    ];
    for (description, words) in cases {
        let said = fault_of(&["make", "-"], description.as_bytes());
        for word in words {
            assert!(said.contains(word), "no {word:?} in {said:?}");
        }
    }
    assert!(fault_of(&["make", "-"], b"\xff").contains("no text"));
}

#[test]
fn a_text_that_is_none_is_refused_with_its_line() {
    let good = out_of(&["make", "-"], state("").as_bytes());
    let cases: Vec<(String, &[&str])> = vec![
        ("".into(), &["no machine"]),
        (format!("{good}hello\n"), &["line 2", "02"]),
        (format!("01{}", &good[2..]), &["line 1", "version 1"]),
        (good[..good.len() - 3].into(), &["line 1", "base64"]),
        (state(""), &["line 1", "not a padding machine"]),
    ];
    for (text, words) in cases {
        for command in ["explain", "describe"] {
            let said = fault_of(&[command, "-"], text.as_bytes());
            for word in words {
                assert!(said.contains(word), "no {word:?} in {said:?}");
            }
        }
    }
    assert!(fault_of(&["explain", "no/such/file"], b"").contains("no/such/file: No such file"));
    assert!(fault_of(&["make", "-", "--output", "no/such/file"], state("").as_bytes()).contains("no/such/file"));
}

/// The first block of that language after a title of docs/padding.md.
fn block(language: &str) -> String {
    let page = fs::read_to_string(root().join("docs/padding.md")).unwrap();
    let section =
        page.split("## Make a machine of your own\n").nth(1).unwrap().split("\n## ").next().unwrap().to_owned();
    let block = section.split(&format!("```{language}\n")).nth(1).unwrap();
    block.split("```").next().unwrap().to_owned()
}

/// The commands of the page are run, but for the demo, as they stand there.
#[test]
fn the_example_of_the_page_is_what_it_says() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("page");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("mine.toml"), block("toml")).unwrap();
    let mut said = Vec::new();
    for line in block("sh").lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[0] {
            "build/circflow-machine" => {
                let command = Command::new(env!("CARGO_BIN_EXE_circflow-machine"))
                    .args(&words[1..])
                    .current_dir(&folder)
                    .output()
                    .unwrap();
                assert!(command.status.success(), "{line}: {}", String::from_utf8_lossy(&command.stderr));
                said.push(String::from_utf8(command.stdout).unwrap());
            }
            other => assert_eq!(other, "make", "{line}"),
        }
    }
    assert_eq!(said, ["".to_owned(), block("text")]);
    Machines::load(&fs::read(folder.join("mine.txt")).unwrap()).unwrap();
}
