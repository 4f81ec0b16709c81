"use strict";
// The page: what the runs say, as sentences, tables and pictures. All text goes in as text, never as markup.

const data = JSON.parse(document.getElementById("data").textContent);

function showAnswers() {
  document.getElementById("about").textContent = data.about;
  const answer = (sentence) => make("li", `k${sentence.colour % COLOURS}`, null, make("b", "", sentence.name), sentence.text);
  document.getElementById("answers").append(...data.sentences.map(answer));
  block(document.getElementById("runs"), "Runs", data.runs, "A run in which Shadow failed is in no comparison. The same seed and the same programs have the same digest.");
  if (data.complaints.rows.length) {
    block(document.getElementById("complaints"), "Warnings of tor, and downloads that failed", data.complaints, "Numbers are left out.");
  }
}

data.sections.forEach((section, number) => {
  const element = addSection(section.title, `${section.downloads.toLocaleString("en")} downloads`, number);
  element.append(make("div", "block", null, tableOf(section.table)));
  drawLater(element, 300 + section.charts.length * 460, () => section.charts.forEach((chart) => showCurves(element, chart)));
});
showAnswers();
showContents("By size", data.sections);
