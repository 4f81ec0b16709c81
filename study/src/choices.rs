//! The algorithms that are studied: one line each.

use circflow::conflux::Algorithm;

#[derive(Clone, Copy, Debug)]
pub struct Choice {
    pub name: &'static str,
    pub algorithm: Algorithm,
}

/// The first one is what the others are compared with: the rule as it is deployed.
pub const CHOICES: [Choice; 8] = [
    Choice { name: "lowrtt", algorithm: Algorithm::LowRtt },
    Choice { name: "minrtt", algorithm: Algorithm::MinRtt },
    Choice { name: "cwndrtt", algorithm: Algorithm::CwndRtt },
    Choice { name: "ontime", algorithm: Algorithm::OnTime },
    Choice { name: "ecf", algorithm: Algorithm::Ecf },
    Choice { name: "blest", algorithm: Algorithm::Blest },
    Choice { name: "otias", algorithm: Algorithm::Otias },
    Choice { name: "random", algorithm: Algorithm::Random },
];

pub const STOCK: Choice = CHOICES[0];

/// Which one of all an algorithm is.
pub fn place_of(name: &str) -> usize {
    CHOICES.iter().position(|choice| choice.name == name).unwrap_or(CHOICES.len())
}

/// The algorithms with these names; all of them for none.
pub fn choices(names: &[String]) -> Result<Vec<Choice>, String> {
    if names.is_empty() {
        return Ok(CHOICES.to_vec());
    }
    let find = |name: &String| CHOICES.iter().find(|choice| choice.name == name).copied();
    let known = || CHOICES.map(|choice| choice.name).join(", ");
    names.iter().map(|name| find(name).ok_or_else(|| format!("no algorithm {name}; there are {}", known()))).collect()
}
