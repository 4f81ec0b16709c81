//! `picture`: what is in the SVG, and what it says in words.

mod common;

use circflow::event::Event;
use common::{out_of, run, small_set, Made, BEGIN, LEG_A, LEG_B, MS, SET};

/// Two seconds of a client's download: a cell each ms on leg A, and each 2 ms on leg B in the second half, held each.
fn download() -> Made {
    let mut made = Made::default();
    made.piece(7, 0);
    for (leg, ms) in [(LEG_A, 0), (LEG_B, 1000)] {
        made.event(7, BEGIN + ms * MS, &Event::LegLinked { set: SET, leg, rtt: MS });
    }
    for ms in 1..=2000 {
        made.event(7, BEGIN + ms * MS, &Event::InOrder { set: SET, leg: LEG_A, number: ms, command: 2 });
        if ms > 1000 && ms % 2 == 0 {
            let held = (ms % 40) as u32 + 1;
            let number = ms + 1000;
            made.event(7, BEGIN + ms * MS, &Event::SwitchReceived { set: SET, leg: LEG_B, delta: 1, number });
            let held = Event::Held { set: SET, leg: LEG_B, number, missing: ms, held, bytes: 600 };
            made.event(7, BEGIN + ms * MS, &held);
        }
    }
    made
}

#[test]
fn it_shows_rates_switches_and_what_waits() {
    let path = download().file("picture.trace");
    let svg = out_of(&["picture", &path, "--title", "a <download> & more"]);
    for text in [
        "a &lt;download&gt; &amp; more",
        ">leg A<",
        ">leg B<",
        "two legs: 5.1 Mbit/s for 2.0 s",
        "2,500 messages came in 2.0 s; the leg was changed 500 times.",
        "At most 39 waited at a time",
        "prefers-color-scheme:dark",
        ">8<",
        ">40<",
    ] {
        assert!(svg.contains(text), "{text}: {svg}");
    }
    assert!(svg.len() < 40_000 && svg.starts_with("<svg ") && svg.ends_with("</svg>\n"), "{} bytes", svg.len());
    assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    assert!(!svg.contains("http") || svg.matches("http").count() == 1, "only the name of SVG itself");
    // Leg B is drawn in the second half only: its area begins in the middle.
    let sum = svg.lines().find(|line| line.contains("class=\"l1\" d=")).unwrap();
    let own = svg.lines().find(|line| line.contains("class=\"l0\" d=")).unwrap();
    assert!(sum.len() > own.len() && svg.find("class=\"l1\" d=") < svg.find("class=\"l0\" d="));
}

#[test]
fn what_only_sends_is_drawn_too() {
    let mut made = Made::default();
    made.piece(7, 0);
    for ms in 0..100 {
        made.event(7, BEGIN + ms * MS, &Event::Sent { set: SET, leg: LEG_A, number: ms, command: 2 });
    }
    let svg = out_of(&["picture", &made.file("sends.trace")]);
    assert!(svg.contains("one leg: ") && svg.contains("100 messages went out"), "{svg}");
}

#[test]
fn a_trace_without_messages_is_an_error_in_words() {
    let path = Made::of(&[(0, Event::SetUsable { set: SET })]).file("empty-picture.trace");
    let ran = run(&["picture", &path]);
    assert!(!ran.is_ok && ran.err.contains("nothing can be drawn"), "{}", ran.err);
    let ran = run(&["picture", "-"]);
    assert!(!ran.is_ok && ran.err.contains("name a file"), "{}", ran.err);
    let one = Made::of(&[(0, Event::InOrder { set: SET, leg: LEG_A, number: 1, command: 2 })]).file("one.trace");
    assert!(out_of(&["picture", &one]).contains("1 messages came"), "one message is a picture");
    assert!(out_of(&["picture", &small_set().file("small-picture.trace")]).contains("two legs"));
}
