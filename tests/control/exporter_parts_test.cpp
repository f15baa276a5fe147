// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>
#include <string>

#include "targetcli-config/exporter/address.h"
#include "targetcli-config/exporter/page.h"
#include "tests/cmocka.h"

using namespace ballast;
using exporter::View;

namespace {

nlohmann::json lun_named(const char* name) {
  return {{"name", name},         {"state", "ok"},     {"stalled_for_ns", nullptr},
          {"oldest_ns", nullptr}, {"backend", "null"}, {"connection", nullptr}};
}

View view_of(nlohmann::json lun) {
  View view;
  view.host = "gateway";
  view.plugin_version = "1.2.3";
  view.list.luns.push_back(std::move(lun));
  return view;
}

bool has(const std::string& page, std::string_view text) {
  return page.find(text) != std::string::npos;
}

void all_that_comes_from_outside_is_escaped(void**) {
  const std::string evil = "<b>&\"'";
  nlohmann::json lun = lun_named(evil.c_str());
  lun["backend"] = evil;
  lun["access"] = evil;
  lun["connection"] = {{"state", evil}, {"for_ns", 1}};
  lun["log"] = {{"state", evil}};
  View view = view_of(lun);
  view.host = view.plugin_version = view.tool_version = evil;
  view.notes = {evil};
  view.list.silent = {evil + "silent"};
  view.in_flight.luns = {
      {{"name", evil},
       {"commands",
        {{{"operation", evil}, {"stage", evil}, {"stage_for_ns", 1}, {"orphan", false}}}}}};
  view.exports = {{evil, evil, evil, evil, evil}, {evil + "unknown", evil, evil, evil, ""}};
  const std::string page = exporter::page(view);
  assert_false(has(page, "<b>"));
  assert_true(has(page, "&lt;b&gt;&amp;&quot;"));
}

void a_lun_has_a_line_for_each_place_where_it_is_shown(void**) {
  View view = view_of(lun_named("vol0"));
  view.exports = {{"vol0", "iqn.a", "1", "0", "iqn.x"},
                  {"vol0", "iqn.a", "1", "0", "iqn.y"},
                  {"vol0", "iqn.b", "2", "7", ""}};
  const std::string page = exporter::page(view);
  assert_true(has(page, R"(<td class="name" rowspan="2">vol0</td>)"));
  assert_true(has(page, "iqn.x<br>iqn.y</td></tr>"));
  assert_true(has(page, R"(<tr><td class="number">7</td><td class="path iqn">iqn.b, TPG 2</td>)"
                        R"(<td class="path iqn">any</td></tr>)"));
}

void a_stalled_lun_says_since_when_and_where_its_oldest_command_is(void**) {
  nlohmann::json lun = lun_named("vol0");
  lun["state"] = "stalled";
  lun["stalled_for_ns"] = 4'000'000'000;
  lun["oldest_ns"] = 9'000'000'000;
  View view = view_of(lun);
  view.in_flight.luns = {{{"name", "vol0"},
                          {"commands",
                           {{{"operation", "WRITE(10)"},
                             {"stage", "backend"},
                             {"stage_for_ns", 8'000'000'000},
                             {"orphan", false}}}}}};
  const std::string page = exporter::page(view);
  assert_true(has(page, R"(<span class="state bad">stalled</span>)"));
  assert_true(has(page, ">4 s<"));
  assert_true(has(page, ">9 s<"));
  assert_true(has(page, "WRITE(10), backend for 8 s<"));
  assert_true(has(page, "1 LUN, 1 stalled."));
}

void the_address_is_numeric_and_has_a_port(void**) {
  for (const char* const good : {"127.0.0.1:9728", "0.0.0.0:0", "[::1]:65535", "[::]:1"}) {
    const Result<exporter::Address> address = exporter::parse_address(good);
    assert_true(address.ok());
    assert_string_equal(address.value().text().c_str(), good);
  }
  for (const char* const bad :
       {"", ":", "9728", ":9728", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:-1",
        "127.0.0.1:65536", "localhost:9728", "::1:9728", "[127.0.0.1]:9728", "[::1:9728",
        "127.0.0.1:9728,0.0.0.0:80", "127.0.0.1:80s", "[]:1"}) {
    if (exporter::parse_address(bad).ok()) {
      print_error("%s is taken\n", bad);
      assert_true(false);
    }
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(all_that_comes_from_outside_is_escaped),
      cmocka_unit_test(a_lun_has_a_line_for_each_place_where_it_is_shown),
      cmocka_unit_test(a_stalled_lun_says_since_when_and_where_its_oldest_command_is),
      cmocka_unit_test(the_address_is_numeric_and_has_a_port),
  };
  return cmocka_run_group_tests_name("exporter", tests, nullptr, nullptr);
}
