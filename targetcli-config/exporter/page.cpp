// SPDX-License-Identifier: Apache-2.0
#include "targetcli-config/exporter/page.h"

#include <fmt/format.h>
#include <glib.h>

#include <algorithm>
#include <memory>
#include <string_view>

#include "targetcli-config/ballastctl/text/cells.h"
#include "targetcli-config/ballastctl/text/output.h"

namespace ballast::exporter {
namespace {

using ctl::Export;
using nlohmann::json;

constexpr std::string_view style = R"(
:root { color-scheme: light dark; --ink: #1c2330; --faint: #5d6878; --paper: #f6f7f9; --card: #fff;
  --line: #dde2e9; --good: #17703a; --good-back: #e0f4e7; --bad: #a8201a; --bad-back: #fde6e4;
  --odd: #855400; --odd-back: #fcf0d4; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e8ee; --faint: #98a3b3; --paper: #14181f; --card: #1c222b; --line: #303845;
    --good: #7fd7a0; --good-back: #173524; --bad: #ff9d96; --bad-back: #48211f; --odd: #f0c35c;
    --odd-back: #3d3014; } }
* { box-sizing: border-box; }
body { margin: 0; padding: 1.5rem; background: var(--paper); color: var(--ink);
  font: 15px/1.45 system-ui, sans-serif; }
main { max-width: 110rem; margin: 0 auto; }
h1 { font-size: 1.35rem; margin: 0 0 .2rem; overflow-wrap: anywhere; }
p { margin: .2rem 0; }
.faint, footer { color: var(--faint); }
.note { margin: 1rem 0; padding: .6rem .9rem; border-left: 4px solid var(--odd);
  background: var(--odd-back); overflow-wrap: anywhere; }
.card { margin: 1.2rem 0; background: var(--card); border: 1px solid var(--line);
  border-radius: 8px; overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th, td { padding: .5rem .6rem; text-align: left; vertical-align: top;
  border-bottom: 1px solid var(--line); }
th { font-size: .8rem; font-weight: 600; color: var(--faint); white-space: nowrap; }
td { overflow-wrap: anywhere; min-width: 7rem; }
td.name { font-weight: 600; min-width: 5rem; }
td.number { text-align: right; white-space: nowrap; min-width: 0; }
th.number { text-align: right; }
td.path { font: .82em/1.75 ui-monospace, monospace; min-width: 11rem; }
td.iqn { min-width: 16.5rem; }
.state { display: inline-block; padding: .05rem .55rem; border-radius: 1rem; font-weight: 600;
  font-size: .88em; white-space: nowrap; }
.good { color: var(--good); background: var(--good-back); }
.bad { color: var(--bad); background: var(--bad-back); }
.odd { color: var(--odd); background: var(--odd-back); }
a { color: inherit; }
footer { margin-top: 1rem; font-size: .88em; }
)";

// For the text of an element, and for an attribute in quotes. What cannot be printed, or is not
// UTF-8, becomes \xNN.
std::string escaped(std::string_view text) {
  const std::string shown = ctl::printable(text);
  const std::unique_ptr<gchar, decltype(&g_free)> markup{
      g_markup_escape_text(shown.data(), static_cast<gssize>(shown.size())), &g_free};
  return markup.get();
}

std::string badge(const char* kind, std::string_view text) {
  return fmt::format(R"(<span class="state {}">{}</span>)", kind, escaped(text));
}

struct Row {
  std::string name;
  std::string backend, state, oldest, stage, stalled;  // HTML
};

std::string state_of(const json& lun) {
  std::string html = lun.at("state") == "ok" ? badge("good", "ok") : badge("bad", "stalled");
  if (const std::string connection = ctl::connection_cell(lun); !connection.empty()) {
    html += " " + badge("bad", connection);
  }
  if (const json log = lun.value("log", json{}); log.is_object() && log.at("state") != "working") {
    html += " " + badge("odd", "log " + log.at("state").get<std::string>());
  }
  if (const json access = lun.value("access", json{}); access.is_string()) {
    html += " " + badge(access == "owner" ? "good" : "odd", access.get<std::string>());
  }
  return html;
}

// "WRITE(10), backend for 3.2 s" of the oldest command; "-": there is none.
std::string stage_of(const json& name, const ctl::Reading& in_flight) {
  for (const json& lun : in_flight.luns) {
    if (lun.at("name") == name && !lun.at("commands").empty()) {
      const json& oldest = lun.at("commands").front();
      return escaped(fmt::format("{}, {} for {}{}", oldest.at("operation").get<std::string>(),
                                 oldest.at("stage").get<std::string>(),
                                 ctl::duration_cell(oldest.at("stage_for_ns")),
                                 oldest.at("orphan") == true ? ", answered already" : ""));
    }
  }
  return "-";
}

std::string or_dash(const std::string& text) {
  return text.empty() ? "-" : escaped(text);
}

std::vector<Row> rows_of(const View& view) {
  std::vector<Row> rows;
  for (const json& lun : view.list.luns) {
    rows.push_back({.name = lun.at("name"),
                    .backend = escaped(lun.at("backend").get<std::string>()),
                    .state = state_of(lun),
                    .oldest = or_dash(ctl::duration_cell(lun.at("oldest_ns"))),
                    .stage = stage_of(lun.at("name"), view.in_flight),
                    .stalled = or_dash(ctl::duration_cell(lun.at("stalled_for_ns")))});
  }
  for (const std::string& name : view.list.silent) {
    rows.push_back({name, "-", badge("bad", "does not answer"), "-", "-", "-"});
  }
  // What the target shows while the plugin says nothing of it.
  for (const Export& each : view.exports) {
    if (std::ranges::none_of(rows, [&](const Row& row) { return row.name == each.backstore; })) {
      rows.push_back({each.backstore, "-", badge("odd", "not known"), "-", "-", "-"});
    }
  }
  return rows;
}

// One place where the target shows a LUN: under this number, to these initiators.
struct Place {
  std::string number, target;
  std::vector<std::string> initiators;
};

std::vector<Place> places_of(const std::string& lun, const std::vector<Export>& exports) {
  std::vector<Place> places;
  for (const Export& each : exports) {
    if (each.backstore != lun) {
      continue;
    }
    const std::string target =
        each.target + (each.portal_group == "1" ? "" : ", TPG " + each.portal_group);
    auto place = std::ranges::find_if(places, [&](const Place& known) {
      return known.number == each.number && known.target == target;
    });
    if (place == places.end()) {
      place = places.insert(place, {each.number, target, {}});
    }
    place->initiators.push_back(each.initiator.empty() ? "any" : each.initiator);
  }
  if (places.empty()) {
    places.push_back({});
  }
  return places;
}

std::string lines(const std::vector<std::string>& values) {
  std::string html;
  for (const std::string& value : values) {
    html += (html.empty() ? "" : "<br>") + escaped(value);
  }
  return html.empty() ? "-" : html;
}

// A LUN has a line for each place where the target shows it.
std::string row_html(const Row& row, const std::vector<Export>& exports) {
  const std::vector<Place> places = places_of(row.name, exports);
  std::string html = "<tr>";
  const auto cell = [&](const char* kind, const std::string& content) {
    html += fmt::format(R"(<td class="{}" rowspan="{}">{}</td>)", kind, places.size(), content);
  };
  cell("name", escaped(row.name));
  cell("", row.state);
  cell("number", row.stalled);
  cell("", row.stage);
  cell("number", row.oldest);
  cell("path", row.backend);
  const char* next = "";
  for (const Place& place : places) {
    html += fmt::format(
        R"({}<td class="number">{}</td><td class="path iqn">{}</td><td class="path iqn">{}</td></tr>)",
        next, or_dash(place.number), or_dash(place.target), lines(place.initiators));
    next = "\n<tr>";
  }
  return html + "\n";
}

std::string summary(const View& view, std::size_t rows) {
  const auto stalled = std::ranges::count_if(
      view.list.luns, [](const json& lun) { return lun.at("state") != "ok"; });
  std::string text = view.plugin_version.empty()
                         ? "The plugin in tcmu-runner does not answer."
                         : fmt::format("The plugin, version {}, answers.", view.plugin_version);
  text += fmt::format(" {} {}", rows, rows == 1 ? "LUN" : "LUNs");
  text += stalled > 0 ? fmt::format(", {} stalled", stalled) : "";
  text += view.list.silent.empty() ? "" : fmt::format(", {} silent", view.list.silent.size());
  return escaped(text + ".");
}

}  // namespace

std::string page(const View& view) {
  const std::vector<Row> rows = rows_of(view);
  std::string notes, table;
  for (const std::string& note : view.notes) {
    notes += fmt::format("<p class=\"note\">{}</p>\n", escaped(note));
  }
  for (const Row& row : rows) {
    table += row_html(row, view.exports);
  }
  if (rows.empty()) {
    table = R"(<tr><td colspan="9" class="faint">This machine has no LUN of Ballast.</td></tr>)";
  }
  return fmt::format(
      R"(<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="refresh" content="10">
<title>Ballast on {0}</title>
<style>{1}</style>
</head>
<body>
<main>
<h1>Ballast on {0}</h1>
<p class="faint">{2}</p>
{3}<div class="card"><table>
<thead><tr><th>LUN</th><th>State</th><th class="number">Stalled</th><th>Oldest command</th>
<th class="number">Age</th><th>Store</th><th class="number">Number</th><th>Target</th>
<th>Initiators</th></tr></thead>
<tbody>
{4}</tbody>
</table></div>
<footer>This page is made anew every 10 seconds. <a href="/metrics">Metrics</a> for Prometheus;
<a href="/healthz">health</a>; ballast-exporter {5}.</footer>
</main>
</body>
</html>
)",
      escaped(view.host), style, summary(view, rows.size()), notes, table,
      escaped(view.tool_version));
}

}  // namespace ballast::exporter
