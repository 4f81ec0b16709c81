//! The study as one page of HTML: sentences, pictures, and the numbers behind them. It needs nothing else.
//!
//! What stands on it is reckoned here, and is part of it as JSON. Scripts in `web/` draw it, with the library, the
//! style and the axes that the page of `circflow-trace report` has, too.

mod curves;
mod heat;
mod words;

use crate::cost::Cost;
use crate::group::{stock_of, Group, GROUPS};
use crate::row::Row;
use curves::Chart;
use heat::Heat;
use serde::Serialize;

/// Columns with their names, and rows of texts.
#[derive(Serialize)]
pub struct Table {
    pub columns: Vec<String>,
    pub rows: Vec<Vec<String>>,
}

/// All that the page shows.
#[derive(Serialize)]
struct Data {
    about: String,
    sentences: Vec<Sentence>,
    glance: Table,
    heats: Vec<Heat>,
    sections: Vec<Section>,
    costs: Option<Table>,
}

/// The answer for an algorithm.
#[derive(Serialize)]
struct Sentence {
    algorithm: &'static str,
    /// Which one of all it is, for its colour.
    colour: usize,
    text: String,
}

/// A group of worlds.
#[derive(Serialize)]
struct Section {
    title: &'static str,
    worlds: usize,
    charts: Vec<Chart>,
}

const FRAME: &str = include_str!("web/frame.html");

/// What stands in the frame as its name between two `@`.
const PARTS: [(&str, &str); 9] = [
    ("UPLOT_CSS", include_str!("../../../trace/src/report/vendor/uPlot.min.css")),
    ("UPLOT_JS", include_str!("../../../trace/src/report/vendor/uPlot.iife.min.js")),
    ("UPLOT_LICENSE", include_str!("../../../trace/src/report/vendor/LICENSE")),
    ("STYLE", include_str!("../../../trace/src/report/page/style.css")),
    ("LINES", include_str!("../../../trace/src/report/page/lines.js")),
    ("OWN_STYLE", include_str!("web/style.css")),
    ("DRAW", include_str!("web/draw.js")),
    ("MAKE", include_str!("web/make.js")),
    ("PAGE", include_str!("web/page.js")),
];

/// The page of these rows.
pub fn page(rows: &[Row], costs: &[Cost]) -> Result<String, String> {
    if rows.is_empty() {
        return Err("there is nothing to show: no world was run".to_owned());
    }
    let data = Data {
        about: words::about(rows),
        sentences: words::sentences(rows),
        glance: words::glance(rows),
        heats: heat::heats(rows),
        sections: sections(rows),
        costs: (!costs.is_empty()).then(|| words::costs(costs)),
    };
    let json = serde_json::to_string(&data).map_err(|why| format!("the page's data: {why}"))?;
    Ok(fill(&in_script(&json)))
}

fn sections(rows: &[Row]) -> Vec<Section> {
    let stock = stock_of(rows);
    let section = |&(title, filter): &(&'static str, _)| {
        let groups = Group::of_each(rows, filter, &stock);
        let worlds = groups.first()?.1.rows.len();
        Some(Section { title, worlds, charts: curves::charts(&groups) })
    };
    GROUPS.iter().filter_map(section).collect()
}

/// Puts the parts into the frame one after the other: nothing that a part says is taken for a place in the frame.
fn fill(json: &str) -> String {
    let mut page = String::new();
    for (index, piece) in FRAME.split('@').enumerate() {
        page.push_str(match (index % 2, piece) {
            (0, text) => text,
            (_, "DATA") => json,
            (_, name) => PARTS.iter().find(|(part, _)| *part == name).map_or("", |(_, text)| text),
        });
    }
    page
}

/// JSON that cannot end the script that it stands in, nor begin a comment there.
fn in_script(json: &str) -> String {
    json.replace('<', "\\u003c")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_has_its_place_and_no_part_ends_its_element() {
        for (name, text) in PARTS {
            assert_eq!(FRAME.matches(&format!("@{name}@")).count(), 1, "{name}");
            for end in ["</script", "</style", "<!--"] {
                assert!(!text.contains(end), "{name} says {end}");
            }
        }
        assert_eq!(FRAME.matches('@').count(), 2 * (PARTS.len() + 1));
    }

    #[test]
    fn text_cannot_become_markup() {
        assert_eq!(in_script("\"</script><!--\""), "\"\\u003c/script>\\u003c!--\"");
    }

    #[test]
    fn a_page_of_nothing_is_an_error() {
        assert!(page(&[], &[]).is_err());
    }
}
