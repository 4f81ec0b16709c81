//! One line of the output: a world with an algorithm. Times are in microseconds, and empty when it did not happen.

use std::fmt::Write;
use std::str::FromStr;

/// Names the columns once, for the struct, the head of the file, writing and reading.
macro_rules! row {
    ($($(#[$doc:meta])* $name:ident: $kind:ty,)*) => {
        #[derive(Clone, Debug, PartialEq)]
        pub struct Row {
            $($(#[$doc])* pub $name: $kind,)*
        }

        pub const HEAD: &[&str] = &[$(stringify!($name)),*];

        impl Row {
            pub fn line(&self) -> String {
                let mut line = String::new();
                $(self.$name.put(&mut line); line.push(',');)*
                line.pop();
                line
            }

            pub fn parse(line: &str) -> Result<Row, String> {
                let mut fields = line.split(',');
                let row = Row {
                    $($name: {
                        let field = fields.next().ok_or_else(|| format!("no {}", stringify!($name)))?;
                        Field::take(field).ok_or_else(|| format!("{} is no {}", field, stringify!($name)))?
                    },)*
                };
                fields.next().map_or(Ok(row), |_| Err("too many fields".to_owned()))
            }
        }
    };
}

row! {
    /// Place in the list of worlds, by which shards are put together.
    place: u64,
    world: String,
    family: String,
    work: String,
    algorithm: String,
    seed: u64,
    legs: u64,
    /// Bytes of the transfer.
    bytes: u64,
    /// Sum of the rates at first, in bits a second.
    rates: u64,
    /// The largest rate by the smallest one, and the same of the round trips, in thousandths.
    rate_ratio: u64,
    trip_ratio: u64,
    /// The largest base round trip.
    trip_us: u64,
    /// The round trip of the leg with the largest rate is not the largest one.
    fast_is_near: bool,
    /// Time to the last byte over each leg alone, and the least of these.
    alones_us: Times,
    alone_us: Option<u64>,
    /// Over the leg with the shortest round trip alone.
    alone_near_us: Option<u64>,
    /// What a sender who knows all could reach.
    bound_us: Option<u64>,
    /// The same for one who learns of a change no sooner than an acknowledgement could show it.
    told_us: Option<u64>,
    first_us: Option<u64>,
    last_us: Option<u64>,
    died: bool,
    switches: u64,
    data: u64,
    /// Messages held for order: the most, and at 95 % of the time. A message costs 514 bytes.
    held_peak: u64,
    held_p95: u64,
    held_peak_bytes: u64,
    held_p95_bytes: u64,
    /// Bits a second of the other circuits, and the same beside the best leg alone.
    rivals: u64,
    rivals_alone: u64,
    talk_p50_us: Option<u64>,
    talk_p95_us: Option<u64>,
    /// The same over the best leg alone.
    talk_alone_p95_us: Option<u64>,
}

/// Some times in one field.
#[derive(Clone, Debug, PartialEq)]
pub struct Times(pub Vec<Option<u64>>);

trait Field: Sized {
    fn put(&self, line: &mut String);
    fn take(field: &str) -> Option<Self>;
}

macro_rules! plain {
    ($($kind:ty),*) => {
        $(impl Field for $kind {
            fn put(&self, line: &mut String) {
                let _ = write!(line, "{self}");
            }

            fn take(field: &str) -> Option<Self> {
                FromStr::from_str(field).ok()
            }
        })*
    };
}

plain!(u64, bool, String);

impl Field for Option<u64> {
    fn put(&self, line: &mut String) {
        self.iter().for_each(|value| value.put(line));
    }

    fn take(field: &str) -> Option<Self> {
        if field.is_empty() {
            return Some(None);
        }
        field.parse().ok().map(Some)
    }
}

impl Field for Times {
    fn put(&self, line: &mut String) {
        for (index, time) in self.0.iter().enumerate() {
            line.push_str(if index > 0 { "|" } else { "" });
            time.put(line);
        }
    }

    fn take(field: &str) -> Option<Self> {
        field.split('|').map(Field::take).collect::<Option<_>>().map(Times)
    }
}

impl Row {
    /// Time to the last byte by another time. None for a set that died; one that took longer than the study waits has
    /// taken for ever.
    pub fn by(&self, other_us: Option<u64>) -> Option<f64> {
        let other = other_us? as f64;
        (!self.died).then(|| self.last_us.map_or(f64::INFINITY, |last| last as f64 / other))
    }

    /// By that over the best leg alone.
    pub fn harm(&self) -> Option<f64> {
        self.by(self.alone_us)
    }

    pub fn goodput(&self) -> Option<f64> {
        self.last_us.map(|last| self.bytes as f64 * 8e6 / last as f64 / self.rates as f64)
    }

    pub fn switch_share(&self) -> f64 {
        self.switches as f64 / (self.data + self.switches).max(1) as f64
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A row of an algorithm with nothing special in it.
    pub fn row(algorithm: &str) -> Row {
        let line = format!(
            "0,static/pair/a+b/1M,static,1M,{algorithm},7,2,1048576,8000,1000,1000,10,true,,,,,,,9,false{}",
            ",0".repeat(8) + ",,,"
        );
        Row::parse(&line).unwrap()
    }

    #[test]
    fn a_line_is_read_as_it_was_written() {
        let line = "3,static/pair/a+b/1M,static,1M,lowrtt,7,2,1048576,8000,2000,1000,60000,\
            true,5|,5,5,,,1,,true,1,2,3,4,5,6,7,8,,9,";
        let row = Row::parse(line).unwrap();
        assert_eq!((row.line().as_str(), row.alones_us.0.len()), (line, 2));
        assert_eq!(row.harm(), None);
        assert_eq!(Row { died: false, ..row }.harm(), Some(f64::INFINITY));
        assert_eq!(HEAD.len(), line.split(',').count());
        assert!(Row::parse("1,2").is_err() && Row::parse(&format!("{line},1")).is_err());
    }
}
