//! What a choice costs, as `make study-cost` has counted it with callgrind.

use crate::table::show;
use std::fmt::Write;

/// Instructions of a choice between two legs.
#[derive(Clone, Debug, PartialEq)]
pub struct Cost {
    pub algorithm: String,
    /// The leg stays, and nothing is new.
    pub stays: f64,
    /// There is news of a leg, which comes with the call.
    pub anew: f64,
}

pub const HEAD: &str = "algorithm,stays,anew";

/// Reads the file of `make study-cost`.
pub fn parse(text: &str) -> Result<Vec<Cost>, String> {
    let mut lines = text.lines();
    if lines.next() != Some(HEAD) {
        return Err(format!("not a file of costs: it begins with {HEAD}"));
    }
    lines.map(|line| parse_line(line).ok_or_else(|| format!("no line of costs: {line}"))).collect()
}

fn parse_line(line: &str) -> Option<Cost> {
    let fields: Vec<&str> = line.split(',').collect();
    let &[algorithm, stays, anew] = &fields[..] else { return None };
    Some(Cost { algorithm: algorithm.to_owned(), stays: stays.parse().ok()?, anew: anew.parse().ok()? })
}

/// The small table beside the large one; empty when nothing was counted.
pub fn table(costs: &[Cost]) -> String {
    if costs.is_empty() {
        return String::new();
    }
    let mut text = String::from(
        "\n## instructions of a choice, two legs\n\n\
        Of circflow_set_decide(): a choice that stays, with nothing new; and one that is made anew, with a report of a leg\n\
        in the call.\n\n| algorithm | stays | made anew |\n|---|--:|--:|\n",
    );
    for cost in costs {
        let _ = writeln!(text, "| {} | {} | {} |", cost.algorithm, show(Some(cost.stays)), show(Some(cost.anew)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_are_read_and_told() {
        let costs = parse("algorithm,stays,anew\nlowrtt,84.0,370.5\nminrtt,84.0,360\n").unwrap();
        assert_eq!(costs[0], Cost { algorithm: "lowrtt".to_owned(), stays: 84.0, anew: 370.5 });
        assert!(table(&costs).ends_with("| lowrtt | 84.00 | 370 |\n| minrtt | 84.00 | 360 |\n"), "{}", table(&costs));
        assert_eq!(table(&[]), "");
        for wrong in ["", "lowrtt,1,2", "algorithm,stays,anew\nlowrtt,1", "algorithm,stays,anew\nlowrtt,1,x"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
