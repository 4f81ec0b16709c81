//! Parameters of a consensus: names, defaults and ranges of each struct stand in one table, so that they always agree.

/// The reason why a parameter was not set. Nothing changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unset {
    /// No parameter in this table has that name.
    NoName,
    /// The value is out of range; these are the smallest and the largest value allowed.
    Range(u32, u32),
    /// The value is in range, but what it asks for is not built.
    NotBuilt,
}

/// Writes a struct of parameters from a table of `field, "name" = default in least..=most`. Where only a part of that
/// range is built, `, built least..=most` names the part.
macro_rules! parameters {
    (@built $all:expr) => { $all };
    (@built $all:expr, $some:expr) => { $some };
    (
        $(#[$about:meta])*
        pub struct $Table:ident, $DEFAULT:ident;
        $($(#[doc = $doc:literal])+ $field:ident, $name:literal = $default:literal in $min:literal ..= $max:expr
            $(, built $least:literal ..= $most:literal)?;)+
    ) => {
        $(#[$about])*
        #[derive(Clone, PartialEq, Eq, Debug)]
        pub struct $Table {
            $($(#[doc = $doc])+ pub $field: u32,)+
        }

        impl $Table {
            /// Name in a consensus, smallest and largest value of each parameter.
            #[allow(dead_code, reason = "tests try each of them")]
            pub const RANGES: &[(&str, u32, u32)] = &[$(($name, $min, $max)),+];

            const $DEFAULT: $Table = $Table { $($field: $default),+ };

            /// Sets the parameter called `name`. How it relates to others is not checked: a consensus sets each on its
            /// own, and every combination works, if slowly (CC-26).
            pub fn set(&mut self, name: &str, value: u32) -> Result<(), $crate::base::consensus::Unset> {
                use $crate::base::consensus::{parameters, Unset};
                let (field, range, built) = match name {
                    $($name => (
                        &mut self.$field,
                        $min..=$max,
                        parameters!(@built $min..=$max $(, $least..=$most)?),
                    ),)+
                    _ => return Err(Unset::NoName),
                };
                if !range.contains(&value) {
                    return Err(Unset::Range(*range.start(), *range.end()));
                }
                if !built.contains(&value) {
                    return Err(Unset::NotBuilt);
                }
                *field = value;
                Ok(())
            }

            /// The value of the parameter called `name`.
            pub fn get(&self, name: &str) -> Option<u32> {
                match name {
                    $($name => Some(self.$field),)+
                    _ => None,
                }
            }
        }
    };
}

pub(crate) use parameters;
