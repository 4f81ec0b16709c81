//! Numbers as people read them.

/// "131,072".
pub fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// "1 cell", "2 cells".
pub fn count(value: u64, noun: &str) -> String {
    let plural = match noun {
        _ if value == 1 => "",
        noun if noun.ends_with("ch") || noun.ends_with('H') => "es",
        _ => "s",
    };
    format!("{} {noun}{plural}", number(value))
}

/// A time in ns: three digits that matter, in the unit that fits.
pub fn time(ns: u64) -> String {
    let (value, unit) = match ns {
        0..1_000 => return format!("{ns} ns"),
        1_000..1_000_000 => (ns as f64 / 1e3, "µs"),
        1_000_000..1_000_000_000 => (ns as f64 / 1e6, "ms"),
        _ => (ns as f64 / 1e9, "s"),
    };
    format!("{} {unit}", short(value))
}

/// Bytes: three digits that matter, in the unit that fits.
pub fn bytes(bytes: u64) -> String {
    let (value, unit) = match bytes {
        0..0x400 => return format!("{bytes} B"),
        0x400..0x10_0000 => (bytes as f64 / 1024.0, "KiB"),
        0x10_0000..0x4000_0000 => (bytes as f64 / 1_048_576.0, "MiB"),
        _ => (bytes as f64 / 1_073_741_824.0, "GiB"),
    };
    format!("{} {unit}", short(value))
}

fn short(value: f64) -> String {
    match value {
        0.0..9.995 => format!("{value:.2}"),
        9.995..99.95 => format!("{value:.1}"),
        _ => number(value.round() as u64),
    }
}

/// A part of a whole: "37 %", and never "0 %" of something that is there.
pub fn part(of: u64, whole: u64) -> String {
    let percent = of as f64 * 100.0 / whole.max(1) as f64;
    match percent {
        _ if of == 0 => "0 %".to_owned(),
        0.0..0.1 => "under 0.1 %".to_owned(),
        0.1..9.95 => format!("{percent:.1} %"),
        _ => format!("{percent:.0} %"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        let numbers = [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")];
        for (value, text) in numbers {
            assert_eq!(number(value), text);
        }
        assert_eq!([count(1, "SWITCH"), count(2, "SWITCH"), count(0, "leg")], ["1 SWITCH", "2 SWITCHes", "0 legs"]);
        let times = [(0, "0 ns"), (999, "999 ns"), (1000, "1.00 µs"), (84_200_000, "84.2 ms"), (184_000_000, "184 ms")];
        for (ns, text) in times {
            assert_eq!(time(ns), text);
        }
        assert_eq!([time(1_500_000_000), time(3_600_000_000_000)], ["1.50 s", "3,600 s"]);
        let sizes = [(1023, "1023 B"), (1024, "1.00 KiB"), (64 << 20, "64.0 MiB"), (3 << 30, "3.00 GiB")];
        for (size, text) in sizes {
            assert_eq!(bytes(size), text);
        }
        let parts = [(0, 5, "0 %"), (0, 0, "0 %"), (1, 10_000, "under 0.1 %"), (1, 100, "1.0 %"), (37, 100, "37 %")];
        for (of, whole, text) in parts {
            assert_eq!(part(of, whole), text);
        }
    }
}
