//! What an engine has recorded, by name.

use circflow::base::Id;
use circflow::engine::Engine;
use circflow::event::{values, Class, Records, Value};

/// An event that was recorded.
#[derive(Clone, PartialEq, Debug)]
pub struct Happened {
    /// When, in ns.
    pub time: u64,
    /// Its name in the table.
    pub name: &'static str,
    /// Its fields by name.
    pub fields: Vec<(&'static str, i128)>,
}

impl Happened {
    /// The value of a field.
    pub fn get(&self, field: &str) -> i128 {
        let found = self.fields.iter().find(|(name, _)| *name == field);
        found.unwrap_or_else(|| panic!("{} has no field {field}", self.name)).1
    }
}

/// Records everything from now on.
pub fn record(engine: &mut Engine) {
    engine.record(1 << 22, Class::EVERY).unwrap();
}

/// What was recorded since the last time, the oldest first.
pub fn recorded(engine: &mut Engine) -> Vec<Happened> {
    let mut buffer = vec![0; 1 << 16];
    let mut all = Vec::new();
    loop {
        let (len, overwritten) = engine.events().read(&mut buffer).unwrap();
        assert_eq!(overwritten, 0);
        if len == 0 {
            return all;
        }
        for (header, fields) in Records::new(&buffer[..len]) {
            let Some(kind) = header.kind() else { continue };
            let fields = values(kind, fields).map(|(field, value)| {
                let value = match value {
                    Value::Unsigned(value) => i128::from(value),
                    Value::Signed(value) => i128::from(value),
                };
                (field.name, value)
            });
            all.push(Happened { time: header.time, name: kind.name, fields: fields.collect() });
        }
    }
}

/// What was recorded of one kind.
pub fn recorded_of(engine: &mut Engine, name: &str) -> Vec<Happened> {
    let mut all = recorded(engine);
    all.retain(|event| event.name == name);
    all
}

/// The names of events, in order.
pub fn names(happened: &[Happened]) -> Vec<&str> {
    happened.iter().map(|event| event.name).collect()
}

/// All fields of an event, which has no others.
pub fn fields<const N: usize>(event: &Happened, names: [&str; N]) -> [i128; N] {
    assert_eq!(event.fields.len(), N, "{event:?}");
    names.map(|name| event.get(name))
}

/// An id as the value of a field.
pub fn id(id: Id) -> i128 {
    id.0.into()
}
