"use strict";
// The page: what the study says, as sentences, tables and pictures. All text goes in as text, never as markup.

const data = JSON.parse(document.getElementById("data").textContent);

function showAnswers() {
  document.getElementById("about").textContent = data.about;
  const answer = (sentence) => make("li", `k${sentence.colour % COLOURS}`, null, make("b", "", sentence.algorithm), sentence.text);
  document.getElementById("answers").append(...data.sentences.map(answer));
  block(document.getElementById("glance"), "At a glance", data.glance, "The same worlds. Sets that died are among the slower ones, and in no quotient.");
  if (data.costs) {
    block(document.getElementById("costs"), "Instructions of a choice, two legs", data.costs,
      "Of circflow_set_decide(): a choice that stays, with nothing new; and one that is made anew, with a report of a leg.");
  }
}

function showMap(place, heat) {
  const plot = make("div", "plot");
  const told = make("p", "told", "");
  const axes = "Across: round trip of the leg with the higher rate ÷ that of the other. Up: higher rate ÷ the other.";
  const wordsOf = (cell) => `Rates ${heat.up[cell.rate]}, round trips ${heat.across[cell.trip]}: ${cell.worlds} worlds,`
    + ` median ${harmText(cell.median)}, 95 % ${harmText(cell.p95)}.`;
  const tell = (cell) => { told.textContent = cell === undefined ? axes : wordsOf(cell); };
  tell();
  const title = make("h3", "", `${heat.algorithm} `, make("span", "unit", `${heat.worlds.toLocaleString("en")} worlds`));
  place.append(make("div", "chart", null, title, plot, told, folded(tableOf(heat.table))));
  keep(drawMap(plot, heat, tell), plot, `Harm with ${heat.algorithm} against the ratios of round trips and rates`);
}

function showMaps() {
  const element = document.getElementById("heats");
  if (!data.heats.length) return element.remove();
  const maps = document.getElementById("maps");
  return drawLater(element, 300, () => data.heats.forEach((heat) => showMap(maps, heat)));
}

function showSection(section, number) {
  const element = addSection(section.title, `${section.worlds.toLocaleString("en")} worlds`, number);
  drawLater(element, section.charts.length * 460, () => section.charts.forEach((chart) => showCurves(element, chart)));
}

showAnswers();
showMaps();
showContents("By group of worlds", data.sections);
data.sections.forEach(showSection);
