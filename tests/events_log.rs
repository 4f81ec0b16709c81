//! Events as log lines: what a subscriber of a Rust host gets of them, and when an engine makes none.

mod common;

use circflow::base::limits::LOG_LINES_OF_A_KIND;
use circflow::base::Id;
use circflow::conflux::{Fault, Role};
use circflow::engine::{Engine, Error};
use circflow::event::{Class, Event as Happened, KINDS};
use circflow::message::Message;
use circflow::wire::conflux::Ux;
use circflow::wire::Command;
use common::{circuit, config, drain, linked_set, terms};
use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{self, Attributes, Record};
use tracing::subscriber::with_default;
use tracing::{Event, Level, Metadata, Subscriber};

/// A line as a subscriber gets it.
#[derive(Clone, Debug)]
struct Line {
    name: &'static str,
    target: &'static str,
    level: Level,
    /// The names of the fields, with their types and values.
    fields: Vec<(&'static str, Told)>,
}

#[derive(Clone, PartialEq, Debug)]
enum Told {
    Number(u64),
    Signed(i64),
    Text(String),
}

impl Line {
    fn get(&self, name: &str) -> &Told {
        &self.fields.iter().find(|field| field.0 == name).unwrap_or_else(|| panic!("{self:?} has no {name}")).1
    }

    fn text(&self, name: &str) -> &str {
        match self.get(name) {
            Told::Text(text) => text,
            other => panic!("{name} is {other:?}"),
        }
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.fields.push((field.name(), Told::Text(format!("{value:?}"))));
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.fields.push((field.name(), Told::Text(value.to_owned())));
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.fields.push((field.name(), Told::Number(value)));
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.fields.push((field.name(), Told::Signed(value)));
    }
}

/// Keeps lines up to a level. It says its highest level, or leaves it to be asked.
#[derive(Clone)]
struct Keep {
    most: LevelFilter,
    says: bool,
    lines: Arc<Mutex<Vec<Line>>>,
}

impl Subscriber for Keep {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "circflow" && *metadata.level() <= self.most
    }
    fn max_level_hint(&self) -> Option<LevelFilter> {
        self.says.then_some(self.most)
    }
    fn event(&self, event: &Event<'_>) {
        let metadata = event.metadata();
        let (name, target, level) = (metadata.name(), metadata.target(), *metadata.level());
        let mut line = Line { name, target, level, fields: Vec::new() };
        event.record(&mut line);
        self.lines.lock().unwrap().push(line);
    }
    fn new_span(&self, _: &Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

/// The lines of a run. One run at a time, as the highest level is a matter of the process.
fn lines_of(most: LevelFilter, says: bool, run: impl FnOnce()) -> Vec<Line> {
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let keep = Keep { most, says, lines: Arc::default() };
    with_default(keep.clone(), run);
    let lines = keep.lines.lock().unwrap().clone();
    lines
}

fn named<'a>(lines: &'a [Line], name: &str) -> Vec<&'a Line> {
    lines.iter().filter(|line| line.name == name).collect()
}

/// The life of a set, and a peer's fault.
fn life() {
    let (mut engine, set, _) = linked_set(2, Ux::NoOpinion, terms(None));
    engine.close_set(9, set).unwrap();
    drain(&mut engine);
    faults(&mut engine, 10, 1);
}

/// SWITCHes on circuits that are no legs.
fn faults(engine: &mut Engine, now: u64, count: usize) {
    for _ in 0..count {
        let circuit = engine.open_circuit(now, circuit(Role::Exit, 0)).unwrap();
        let switch =
            Message { command: Command::CONFLUX_SWITCH, hop: 0, stream_id: 0, body: &[0, 0, 0, 1], token: None };
        assert_eq!(engine.receive(now, circuit, &switch).unwrap_err(), Error::Fault(Fault::UnexpectedSwitch));
        engine.circuit_closed(now, circuit).unwrap();
        drain(engine);
    }
}

#[test]
fn a_line_has_the_name_level_and_fields_of_its_kind() {
    let lines = lines_of(LevelFilter::TRACE, true, life);
    assert!(!lines.is_empty());
    for line in &lines {
        let kind = KINDS.iter().find(|kind| kind.name == line.name).unwrap();
        assert_eq!((line.target, line.level.to_string()), ("circflow", format!("{:?}", kind.level).to_uppercase()));
        let names: Vec<&str> = kind.fields.iter().map(|field| field.name).collect();
        let told: Vec<&str> = line.fields.iter().map(|field| field.0).collect();
        assert_eq!(told, [&["message", "engine"][..], &names].concat(), "the message comes first, then the fields");
        assert_eq!(*line.get("engine"), Told::Number(1));
        assert!(line.text("message").starts_with(kind.sentence()), "{line:?}");
    }
    for name in ["SetEnded", "Fault"] {
        assert!(!named(&lines, name).is_empty(), "{name} in {lines:?}");
    }
}

#[test]
fn ids_statuses_and_words_are_told_as_people_read_them() {
    let (set, leg) = (Id(0x6_0000_0100_0000), Id(0x5_0000_0100_0001));
    let told = [
        Happened::LegLinked { set, leg, rtt: 7 },
        Happened::LegLooked { set, leg, rtt: 0, cwnd: 31, in_flight: 2, state: 1 },
        Happened::Sent { set, leg, number: 1 << 40, command: 2 },
        Happened::LegLost { set, leg, cause: -306 },
        Happened::SetEnded { set, cause: 0 },
        Happened::Fault { who: leg, status: -99 },
    ];
    let lines = lines_of(LevelFilter::TRACE, true, || {
        let mut engine = Engine::new(&config(1)).unwrap();
        told.into_iter().for_each(|event| engine.events().note(5, event));
        faults(&mut engine, 10, 1);
    });
    let linked = named(&lines, "LegLinked")[0];
    assert_eq!((linked.text("set"), linked.text("leg")), ("0x6000001000000", "0x5000001000001"));
    assert_eq!(*linked.get("rtt"), Told::Number(7));
    let looked = named(&lines, "LegLooked")[0];
    assert_eq!((looked.text("state"), looked.get("cwnd")), ("not linked", &Told::Number(31)));
    let sent = named(&lines, "Sent")[0];
    assert_eq!((sent.text("command"), sent.get("number")), ("DATA", &Told::Number(1 << 40)));
    assert_eq!(named(&lines, "LegLost")[0].text("cause"), "CIRCFLOW_ERR_LEG_LOST");
    assert!(named(&lines, "LegLost")[0].text("message").ends_with("(a leg went that its set cannot do without)"));
    assert_eq!(*named(&lines, "Fault")[0].get("status"), Told::Signed(-99), "no status that we know");
    assert_eq!(named(&lines, "SetEnded")[0].text("cause"), "the host ended it");
    let fault = named(&lines, "Fault")[1];
    assert_eq!(fault.text("status"), "CIRCFLOW_ERR_UNEXPECTED_SWITCH");
    assert!(fault.text("message").ends_with("(a SWITCH on a circuit that is not linked)"), "{fault:?}");
}

#[test]
fn a_level_lets_those_kinds_through_that_it_should() {
    for says in [true, false] {
        for (filter, most) in [(LevelFilter::OFF, None), (LevelFilter::ERROR, None)].into_iter().chain(
            [Level::WARN, Level::INFO, Level::DEBUG, Level::TRACE].map(|level| (LevelFilter::from(level), Some(level))),
        ) {
            let lines = lines_of(filter, says, life);
            let seen = lines.iter().map(|line| line.level).max();
            assert!(seen <= most, "{filter}: {lines:?}");
            assert_eq!(named(&lines, "Fault").len(), usize::from(most.is_some()), "{filter}");
            assert_eq!(named(&lines, "SetEnded").len(), usize::from(most >= Some(Level::INFO)), "{filter}");
        }
    }
}

/// `wants` is what quick ways look at: with no log and no record, they make no event.
#[test]
fn an_engine_sees_a_new_level_at_its_next_drain() {
    let mut engine = None;
    // Made while nobody wants lines, whatever the other tests do.
    lines_of(LevelFilter::OFF, true, || engine = Engine::new(&config(1)).ok());
    let mut engine = engine.unwrap();
    let lines = lines_of(LevelFilter::TRACE, true, || {
        engine.set_clock(1).unwrap();
        assert!(!engine.events().wants(Class::Messages), "not yet");
        drain(&mut engine);
        assert!(engine.events().wants(Class::Messages));
    });
    assert_eq!(named(&lines, "ClockSet").len(), 1, "what matters asks for the level by itself: {lines:?}");
    for (filter, messages, sets) in [
        (LevelFilter::TRACE, true, true),
        (LevelFilter::INFO, false, true),
        (LevelFilter::WARN, false, false),
        (LevelFilter::OFF, false, false),
    ] {
        lines_of(filter, true, || {
            drain(&mut engine);
            assert_eq!(engine.events().wants(Class::Messages), messages, "{filter}");
            assert_eq!(engine.events().wants(Class::Sets), sets, "{filter}");
        });
    }
    engine.record(4096, Class::Choice.bit()).unwrap();
    assert!(engine.events().wants(Class::Choice) && !engine.events().wants(Class::Sets), "who records asks, too");
}

#[test]
fn a_flood_of_one_kind_hides_no_other_and_is_summed_up() {
    let cap = LOG_LINES_OF_A_KIND as usize;
    for (count, dropped) in [(cap - 1, 0), (cap, 0), (cap + 1, 1), (cap + 37, 37)] {
        let mut engine = Engine::new(&config(3)).unwrap();
        let lines = lines_of(LevelFilter::INFO, true, || {
            faults(&mut engine, 5, count);
            engine.set_clock(6).unwrap();
            assert_eq!(engine.stats().log_dropped, dropped as u64, "{count}");
            for now in [999_999_999, 2_000_000_000, 3_000_000_000] {
                engine.tick(now);
                drain(&mut engine);
            }
        });
        assert_eq!(named(&lines, "Fault").len(), count - dropped);
        assert_eq!(named(&lines, "ClockSet").len(), 1);
        let sums = named(&lines, "LeftOut");
        assert_eq!(sums.len(), usize::from(dropped > 0), "{lines:?}");
        for sum in sums {
            assert_eq!((sum.text("kind"), sum.get("left_out")), ("Fault", &Told::Number(dropped as u64)));
            assert_eq!((sum.level, sum.get("engine")), (Level::WARN, &Told::Number(3)));
            assert_eq!(sum.text("message"), format!("{dropped} more of this kind left out"));
        }
    }
}

#[test]
fn no_line_tells_a_nonce_or_a_tag() {
    let mut all = terms(None);
    all.tag = 0x0123_4567_89ab;
    let lines = lines_of(LevelFilter::TRACE, true, || {
        let (mut engine, set, _) = linked_set(3, Ux::NoOpinion, all);
        engine.close_set(9, set).unwrap();
        drain(&mut engine);
        faults(&mut engine, 10, 1);
    });
    let text = format!("{lines:?}").to_lowercase();
    for secret in ["5a5a", "90, 90", "zz", "123456789ab", "1250999896491"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}
