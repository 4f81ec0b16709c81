//! Descriptions of machines, in TOML: maybenot's own types by maybenot's own names, with three things for people.
//! States have names, transitions stand beside the name of their event, and what has a usual value may be left out.

use enum_map::EnumMap;
use maybenot::action::{Action, Timer};
use maybenot::constants::{STATE_END, STATE_SIGNAL};
use maybenot::counter::{Counter, Operation};
use maybenot::dist::{Dist, DistType};
use maybenot::event::Event;
use maybenot::state::{State, Trans};
use maybenot::Machine;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;

use crate::{numbered, Said};

/// Where a transition can go besides states.
const END: &str = "END";
const SIGNAL: &str = "SIGNAL";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed {
    machine: Vec<Described>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Described {
    #[serde(default)]
    allowed_padding_packets: Count,
    #[serde(default)]
    max_padding_frac: f64,
    #[serde(default)]
    allowed_blocked_microsec: Count,
    #[serde(default)]
    max_blocking_frac: f64,
    state: Vec<Stated>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stated {
    /// Its number, counted from 0, if none is given.
    name: Option<String>,
    action: Option<Acted>,
    counter_a: Option<Counted>,
    counter_b: Option<Counted>,
    /// Names of states, each with its probability.
    #[serde(default)]
    on: BTreeMap<On, Vec<(String, f32)>>,
}

/// An event, in maybenot's order.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
struct On(Event);

impl Ord for On {
    fn cmp(&self, other: &On) -> std::cmp::Ordering {
        self.0.to_usize().cmp(&other.0.to_usize())
    }
}

impl PartialOrd for On {
    fn partial_cmp(&self, other: &On) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// A whole number. TOML has none above 63 bits, so those are text.
#[derive(Serialize, Deserialize)]
#[serde(untagged, expecting = "a whole number is wanted, from 0 on; one above 63 bits in quotes")]
enum Count {
    Number(u64),
    Text(String),
}

impl Default for Count {
    fn default() -> Count {
        Count::Number(0)
    }
}

impl Count {
    fn of(number: u64) -> Count {
        if i64::try_from(number).is_ok() {
            Count::Number(number)
        } else {
            Count::Text(number.to_string())
        }
    }

    fn read(&self) -> Said<u64> {
        match self {
            Count::Number(number) => Ok(*number),
            Count::Text(text) => text.parse().map_err(|_| format!("{text:?} is no whole number of up to 64 bits")),
        }
    }
}

/// A distribution, of which most begin at 0 and have no end.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Drawn {
    dist: DistType,
    #[serde(default, skip_serializing_if = "is_zero")]
    start: f64,
    #[serde(default, skip_serializing_if = "is_zero")]
    max: f64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
enum Acted {
    Cancel {
        timer: Timer,
    },
    SendPadding {
        #[serde(default, skip_serializing_if = "is_false")]
        bypass: bool,
        #[serde(default, skip_serializing_if = "is_false")]
        replace: bool,
        timeout: Drawn,
        #[serde(skip_serializing_if = "Option::is_none")]
        limit: Option<Drawn>,
    },
    BlockOutgoing {
        #[serde(default, skip_serializing_if = "is_false")]
        bypass: bool,
        #[serde(default, skip_serializing_if = "is_false")]
        replace: bool,
        timeout: Drawn,
        duration: Drawn,
        #[serde(skip_serializing_if = "Option::is_none")]
        limit: Option<Drawn>,
    },
    UpdateTimer {
        #[serde(default, skip_serializing_if = "is_false")]
        replace: bool,
        duration: Drawn,
        #[serde(skip_serializing_if = "Option::is_none")]
        limit: Option<Drawn>,
    },
}

/// A counter changes by 1, if not by a distribution or by the other counter.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Counted {
    operation: Operation,
    #[serde(skip_serializing_if = "Option::is_none")]
    dist: Option<Drawn>,
    #[serde(default, skip_serializing_if = "is_false")]
    copy: bool,
}

fn is_zero(value: &f64) -> bool {
    *value == 0.0
}

fn is_false(value: &bool) -> bool {
    !value
}

impl From<Drawn> for Dist {
    fn from(drawn: Drawn) -> Dist {
        Dist::new(drawn.dist, drawn.start, drawn.max)
    }
}

impl From<Dist> for Drawn {
    fn from(dist: Dist) -> Drawn {
        Drawn { dist: dist.dist, start: dist.start, max: dist.max }
    }
}

impl From<Acted> for Action {
    fn from(acted: Acted) -> Action {
        match acted {
            Acted::Cancel { timer } => Action::Cancel { timer },
            Acted::SendPadding { bypass, replace, timeout, limit } => {
                Action::SendPadding { bypass, replace, timeout: timeout.into(), limit: limit.map(Dist::from) }
            }
            Acted::BlockOutgoing { bypass, replace, timeout, duration, limit } => Action::BlockOutgoing {
                bypass,
                replace,
                timeout: timeout.into(),
                duration: duration.into(),
                limit: limit.map(Dist::from),
            },
            Acted::UpdateTimer { replace, duration, limit } => {
                Action::UpdateTimer { replace, duration: duration.into(), limit: limit.map(Dist::from) }
            }
        }
    }
}

impl From<Action> for Acted {
    fn from(action: Action) -> Acted {
        match action {
            Action::Cancel { timer } => Acted::Cancel { timer },
            Action::SendPadding { bypass, replace, timeout, limit } => {
                Acted::SendPadding { bypass, replace, timeout: timeout.into(), limit: limit.map(Drawn::from) }
            }
            Action::BlockOutgoing { bypass, replace, timeout, duration, limit } => Acted::BlockOutgoing {
                bypass,
                replace,
                timeout: timeout.into(),
                duration: duration.into(),
                limit: limit.map(Drawn::from),
            },
            Action::UpdateTimer { replace, duration, limit } => {
                Acted::UpdateTimer { replace, duration: duration.into(), limit: limit.map(Drawn::from) }
            }
        }
    }
}

impl From<Counted> for Counter {
    fn from(counted: Counted) -> Counter {
        Counter { operation: counted.operation, dist: counted.dist.map(Dist::from), copy: counted.copy }
    }
}

impl From<Counter> for Counted {
    fn from(counter: Counter) -> Counted {
        Counted { operation: counter.operation, dist: counter.dist.map(Drawn::from), copy: counter.copy }
    }
}

/// Reads a description.
pub fn parse(text: &str) -> Said<Vec<Machine>> {
    let listed: Listed =
        toml::from_str(text).map_err(|error| format!("this is no description of machines: {error}"))?;
    (1..)
        .zip(listed.machine)
        .map(|(number, machine)| made(machine).map_err(|why| format!("machine {number}: {why}")))
        .collect()
}

fn made(machine: Described) -> Said<Machine> {
    let names: Vec<String> = (0..)
        .zip(&machine.state)
        .map(|(at, state): (usize, _)| state.name.clone().unwrap_or_else(|| at.to_string()))
        .collect();
    let mut known = HashMap::new();
    for (at, name) in names.iter().enumerate() {
        if name == END || name == SIGNAL {
            return Err(format!("no state can be named {name}, which stands for something else"));
        }
        if known.insert(name.as_str(), at).is_some() {
            return Err(format!("two states are named {name:?}"));
        }
    }
    let states: Said<Vec<State>> = names
        .iter()
        .zip(machine.state)
        .map(|(name, state)| state_of(state, &known).map_err(|why| format!("state {name:?}: {why}")))
        .collect();
    Machine::new(
        machine.allowed_padding_packets.read()?,
        machine.max_padding_frac,
        machine.allowed_blocked_microsec.read()?,
        machine.max_blocking_frac,
        states?,
    )
    .map_err(|error| error.to_string())
}

fn state_of(state: Stated, known: &HashMap<&str, usize>) -> Said<State> {
    let mut transitions: EnumMap<Event, Vec<Trans>> = EnumMap::default();
    for (On(event), goes) in state.on {
        for (name, probability) in goes {
            let to = match name.as_str() {
                END => STATE_END,
                SIGNAL => STATE_SIGNAL,
                _ => *known
                    .get(name.as_str())
                    .ok_or_else(|| format!("{event} goes to {name:?}, and no state has this name"))?,
            };
            transitions[event].push(Trans(to, probability));
        }
    }
    let mut made = State::new(transitions);
    made.action = state.action.map(Action::from);
    made.counter = (state.counter_a.map(Counter::from), state.counter_b.map(Counter::from));
    // Each state by itself, so that what is wrong is said of that state.
    made.validate(known.len()).map_err(|error| error.to_string())?;
    Ok(made)
}

/// Writes the description of machines. Their states have numbers for names.
pub fn print(machines: &[Machine]) -> Said<String> {
    let mut page = String::new();
    for (number, machine) in numbered(machines) {
        let gap = if number == 1 { "" } else { "\n" };
        let _ = writeln!(page, "{gap}[[machine]]");
        let counts = [
            ("allowed_padding_packets", machine.allowed_padding_packets),
            ("allowed_blocked_microsec", machine.allowed_blocked_microsec),
        ];
        for (name, count) in counts.into_iter().filter(|(_, count)| *count != 0) {
            let _ = writeln!(page, "{name} = {}", inline(&Count::of(count))?);
        }
        let fractions =
            [("max_padding_frac", machine.max_padding_frac), ("max_blocking_frac", machine.max_blocking_frac)];
        for (name, fraction) in fractions.into_iter().filter(|(_, fraction)| *fraction != 0.0) {
            let _ = writeln!(page, "{name} = {}", inline(&fraction)?);
        }
        for (at, state) in machine.states.iter().enumerate() {
            print_state(&mut page, at, state)?;
        }
    }
    Ok(page)
}

fn print_state(page: &mut String, at: usize, state: &State) -> Said<()> {
    let _ = writeln!(page, "\n[[machine.state]]\nname = \"{at}\"");
    if let Some(action) = state.action {
        let _ = writeln!(page, "action = {}", inline(&Acted::from(action))?);
    }
    for (name, counter) in [("counter_a", state.counter.0), ("counter_b", state.counter.1)] {
        if let Some(counter) = counter {
            let _ = writeln!(page, "{name} = {}", inline(&Counted::from(counter))?);
        }
    }
    for (event, goes) in state.get_transitions() {
        if !goes.is_empty() {
            let goes: Vec<(String, f32)> = goes.iter().map(|Trans(to, how)| (name_of(*to), *how)).collect();
            let _ = writeln!(page, "on.{event} = {}", inline(&goes)?);
        }
    }
    Ok(())
}

/// The name of a state that has none.
pub fn name_of(state: usize) -> String {
    match state {
        STATE_END => END.to_owned(),
        STATE_SIGNAL => SIGNAL.to_owned(),
        _ => state.to_string(),
    }
}

/// A value on one line.
fn inline(value: &impl Serialize) -> Said<String> {
    let mut text = String::new();
    value.serialize(toml::ser::ValueSerializer::new(&mut text)).map_err(|error| error.to_string())?;
    Ok(text)
}
