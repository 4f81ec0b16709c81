//! The page as one text: its frame, its style, its scripts, and what they draw.

use super::chart::Section;
use super::notable::Notable;
use super::summary::{Table, Tile};
use crate::error::Error;
use crate::words::escaped;
use serde::Serialize;

/// All that the page shows.
#[derive(Serialize)]
pub struct Data {
    pub file: String,
    /// What its maker says of it; may be empty.
    pub title: String,
    /// How long the trace is, in µs.
    pub span: u64,
    pub about: Vec<String>,
    pub warnings: Vec<String>,
    pub sentences: Vec<String>,
    pub tiles: Vec<Tile>,
    pub legs: Table,
    pub padders: Table,
    pub notables: Vec<Notable>,
    pub notables_left_out: u64,
    pub others: Table,
    pub circuits_left_out: usize,
    pub sections: Vec<Section>,
}

const FRAME: &str = include_str!("page/frame.html");

/// What stands in the frame as its name between two `@`.
const PARTS: [(&str, &str); 7] = [
    ("UPLOT_CSS", include_str!("vendor/uPlot.min.css")),
    ("UPLOT_JS", include_str!("vendor/uPlot.iife.min.js")),
    ("UPLOT_LICENSE", include_str!("vendor/LICENSE")),
    ("STYLE", include_str!("page/style.css")),
    ("LINES", include_str!("page/lines.js")),
    ("ROWS", include_str!("page/rows.js")),
    ("PAGE", include_str!("page/page.js")),
];

/// The page.
pub fn text(data: &Data) -> Result<String, Error> {
    let json = serde_json::to_string(data).map_err(|error| Error::Wrong(format!("the page's data: {error}")))?;
    let title = escaped(&data.file);
    let mut page = String::new();
    let mut rest = FRAME;
    // Parts are put in one after the other: nothing that a part says is taken for a place in the frame.
    while let Some((before, after)) = rest.split_once('@') {
        let (name, behind) = after.split_once('@').unwrap_or((after, ""));
        page.push_str(before);
        page.push_str(match name {
            "TITLE" => &title,
            "DATA" => "",
            _ => part(name),
        });
        if name == "DATA" {
            page.push_str(&in_script(&json));
        }
        rest = behind;
    }
    page.push_str(rest);
    Ok(page)
}

fn part(name: &str) -> &'static str {
    PARTS.iter().find(|(part, _)| *part == name).map_or("", |(_, text)| *text)
}

/// JSON that cannot end the script that it stands in, nor begin a comment there.
fn in_script(json: &str) -> String {
    json.replace('<', "\\u003c")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_become_markup() {
        assert_eq!(escaped("<b a='1'>\"&\""), "&lt;b a=&#39;1&#39;&gt;&quot;&amp;&quot;");
        assert_eq!(in_script("\"</script><!--\""), "\"\\u003c/script>\\u003c!--\"");
    }

    #[test]
    fn every_part_has_its_place_and_no_part_ends_its_element() {
        for (name, text) in PARTS {
            assert_eq!(FRAME.matches(&format!("@{name}@")).count(), 1, "{name}");
            for end in ["</script", "</style", "<!--"] {
                assert!(!text.contains(end), "{name} says {end}");
            }
        }
        assert_eq!(FRAME.matches('@').count(), 2 * (PARTS.len() + 3), "the title stands there twice");
    }
}
