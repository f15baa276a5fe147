// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <optional>
#include <regex>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "lib/base/version.h"
#include "lib/watch/counters.h"
#include "lib/watch/report.h"
#include "targetcli-config/ballastctl/metrics/families.h"
#include "targetcli-config/ballastctl/metrics/gather.h"
#include "tests/ballastctl/tree.h"
#include "tests/cmocka.h"

using namespace ballast;
using namespace ballast::ctl;
using namespace std::chrono_literals;
using ballast::test::Tree;
using metrics::Families;
using prometheus::ClientMetric;

namespace {

std::string labels_of(const ClientMetric& metric) {
  std::string text;
  for (const ClientMetric::Label& label : metric.label) {
    text += (text.empty() ? "" : ",") + label.name + "=" + label.value;
  }
  return text;
}

// The one with these labels, "lun=vol0,status=GOOD"; null: there is none.
const ClientMetric* find(const Families& families, std::string_view name, std::string_view labels) {
  for (const prometheus::MetricFamily& family : families) {
    for (const ClientMetric& metric : family.metric) {
      if (family.name == name && labels_of(metric) == labels) {
        return &metric;
      }
    }
  }
  return nullptr;
}

const ClientMetric& get(const Families& families, std::string_view name, std::string_view labels) {
  const ClientMetric* const metric = find(families, name, labels);
  if (metric == nullptr) {
    print_error("no %s{%s}\n", std::string{name}.c_str(), std::string{labels}.c_str());
    assert_non_null(metric);
  }
  return *metric;
}

Reading read(const std::string& answer) {
  Result<Reading> reading = read_answer(answer);
  assert_true(reading.ok());
  return std::move(reading).value();
}

Families of(std::span<const watch::LunSnapshot> luns, const watch::FromOutside& outside = {}) {
  Families all = metrics::of_luns(read(watch::report::list(luns, outside)));
  for (Families more : {metrics::of_stats(read(watch::report::stats(luns, outside))),
                        metrics::of_logs(read(watch::report::log(luns, outside)))}) {
    all.insert(all.end(), more.begin(), more.end());
  }
  return all;
}
Families of(const watch::LunSnapshot& lun, const watch::FromOutside& outside = {}) {
  return of(std::span{&lun, 1}, outside);
}

watch::LunSnapshot lun_named(const char* name) {
  watch::LunSnapshot lun;
  lun.name = name;
  lun.backend = "file=/srv/vol0.raw";
  lun.capacity = Bytes{1 << 30};
  lun.now = TimePoint{1h};
  lun.opened = TimePoint{59min};
  return lun;
}

void each_counter_is_a_metric(void**) {
  watch::LunSnapshot lun = lun_named("vol0");
  lun.counters.good = 5;
  lun.counters.busy = 2;
  lun.counters.shed = 3;
  lun.counters.adoptions = 4;
  lun.counters.written = Bytes{4096};
  const Families families = of(lun);
  assert_true(get(families, "ballast_lun_answers_total", "lun=vol0,status=GOOD").counter.value ==
              5);
  assert_true(get(families, "ballast_lun_answers_total", "lun=vol0,status=BUSY").counter.value ==
              2);
  assert_true(
      get(families, "ballast_lun_early_answers_total", "lun=vol0,reason=stall").counter.value == 3);
  assert_true(get(families, "ballast_lun_adoptions_total", "lun=vol0").counter.value == 4);
  assert_true(get(families, "ballast_lun_written_bytes_total", "lun=vol0").counter.value == 4096);
  std::size_t counters = 0;
  for (const prometheus::MetricFamily& family : families) {
    counters += family.type == prometheus::MetricType::Counter ? family.metric.size() : 0;
  }
  assert_int_equal(counters, watch::counters.size());
}

void a_histogram_is_cumulative_and_exact_at_powers_of_two(void**) {
  watch::LunSnapshot lun = lun_named("vol0");
  lun.reads.add(1us);
  lun.reads.add(Nanoseconds{1 << 20});
  lun.reads.add(Nanoseconds{(1 << 20) + 1});
  lun.reads.add(300s);
  const ClientMetric::Histogram histogram =
      get(of(lun), "ballast_lun_command_duration_seconds", "lun=vol0,kind=reads").histogram;
  assert_int_equal(histogram.sample_count, 4);
  assert_true(std::abs(histogram.sample_sum - 300.002) < 0.001);
  const auto up_to = [&](std::uint64_t ns) {
    const auto found = std::ranges::find_if(histogram.bucket, [&](const auto& bucket) {
      return bucket.upper_bound == static_cast<double>(ns) / 1e9;
    });
    assert_true(found != histogram.bucket.end());
    return found->cumulative_count;
  };
  assert_int_equal(up_to(1 << 15), 1);
  assert_int_equal(up_to(1 << 20), 2);
  assert_int_equal(up_to(1 << 21), 3);
  assert_int_equal(up_to(std::uint64_t{1} << 37), 3);
  assert_int_equal(histogram.bucket.back().cumulative_count, 4);
  assert_true(std::isinf(histogram.bucket.back().upper_bound));
}

void a_stalled_lun_says_so(void**) {
  watch::LunSnapshot lun = lun_named("vol0");
  lun.stalled_since = TimePoint{1h - 4s};
  lun.oldest = TimePoint{1h - 9s};
  const Families families = of(lun);
  assert_true(get(families, "ballast_lun_stalled", "lun=vol0").gauge.value == 1);
  assert_true(get(families, "ballast_lun_stalled_seconds", "lun=vol0").gauge.value == 4);
  assert_true(get(families, "ballast_lun_oldest_command_seconds", "lun=vol0").gauge.value == 9);
}

void a_silent_lun_is_there(void**) {
  watch::FromOutside outside;
  outside.silent = {"vol1"};
  const Families families = of(lun_named("vol0"), outside);
  assert_true(get(families, "ballast_lun_silent", "lun=vol0").gauge.value == 0);
  assert_true(get(families, "ballast_lun_silent", "lun=vol1").gauge.value == 1);
}

void stages_that_nobody_was_in_are_left_out(void**) {
  watch::LunSnapshot lun = lun_named("vol0");
  watch::CommandRecord record;
  record.enter(watch::Stage::backend, TimePoint{});
  lun.stages.add(record, TimePoint{1ms});
  const Families families = of(lun);
  const char* const name = "ballast_lun_stage_duration_seconds";
  assert_int_equal(get(families, name, "lun=vol0,stage=backend").histogram.sample_count, 1);
  assert_null(find(families, name, "lun=vol0,stage=fence"));
}

void errors_of_the_store_are_counted(void**) {
  watch::LunSnapshot lun = lun_named("vol0");
  lun.store_errors = {{"write", "no space", 3, {}}};
  assert_true(
      get(of(lun), "ballast_lun_store_errors_total", "lun=vol0,operation=write,error=no space")
          .counter.value == 3);
}

void a_lun_says_who_sees_it(void**) {
  const Tree tree;
  tree.add_backstore("vol0", 0, "file=/srv/vol0.raw");
  tree.export_backstores(1, "64");
  const Families families = metrics::of_exports(exports(tree.files(), target_luns(tree.files())));
  const std::string labels = std::string{"lun=vol0,target="} + Tree::iqn +
                             ",portal_group=1,lun_number=0,initiator=iqn.2026-01.org.a";
  assert_true(get(families, "ballast_lun_export_info", labels).gauge.value == 1);
}

void a_disk_says_how_long_it_survives(void**) {
  const Tree tree;
  tree.add_disk("sda", 0);
  const Result<std::vector<Disk>> found = disks(tree.files(), {});
  assert_true(found.ok());
  const Families families = metrics::of_disks(found.value(), 20s);
  const std::string labels = std::string{"disk=sda,target="} + Tree::iqn + ",lun_number=0";
  assert_true(get(families, "ballast_disk_survives_seconds", labels).gauge.value == 180);
}

// A LUN that has all that a LUN may have, so that each metric is there.
watch::LunSnapshot lun_with_everything() {
  watch::LunSnapshot lun = lun_named("vol0");
  lun.access = "owner";
  lun.connection = "connected";
  lun.log = watch::LogView{};
  lun.room = watch::RoomView{};
  lun.log->store_speed = 1 << 20;
  lun.store_errors = {{"write", "no space", 3}};
  watch::CommandRecord record;
  record.enter(watch::Stage::backend, TimePoint{});
  lun.stages.add(record, TimePoint{1ms});
  return lun;
}

// All that `ballastctl metrics` prints on a machine that is a target and an initiator.
Families everything() {
  const Tree tree;
  tree.add_backstore("vol0", 0, "file=/srv/vol0.raw");
  tree.export_backstores(1, "64");
  tree.add_disk("sda", 0);
  const std::vector luns{lun_with_everything(), lun_named("vol1")};
  watch::FromOutside outside;
  outside.stuck.emplace_back();
  outside.stuck.back().lun = "vol1";
  const metrics::PluginAnswers plugin{
      std::string{"0.1.0"}, read_answer(watch::report::list(luns, outside)),
      read_answer(watch::report::stats(luns, outside)), read_answer(watch::report::log(luns, {}))};
  const metrics::Gathered gathered = metrics::gather(plugin, metrics::look(tree.files()));
  assert_true(gathered.missing.empty());
  return gathered.families;
}

void a_name_of_a_metric_stands_once(void**) {
  std::set<std::string> names;
  for (const prometheus::MetricFamily& family : everything()) {
    assert_true(names.insert(family.name).second);
    assert_false(family.help.empty());
    assert_false(family.metric.empty());
  }
}

void a_log_says_what_waits_in_it(void**) {
  watch::LunSnapshot lun = lun_named("vol0");
  lun.log.emplace();
  lun.log->used = Bytes{3 << 20};
  lun.log->oldest = TimePoint{1h - 4s};
  const Families families = of(lun);
  assert_true(get(families, "ballast_lun_log_used_bytes", "lun=vol0").gauge.value == 3 << 20);
  assert_true(get(families, "ballast_lun_log_oldest_seconds", "lun=vol0").gauge.value == 4);
  assert_null(find(families, "ballast_lun_log_store_bytes_per_second", "lun=vol0"));  // not known
}

void a_shared_store_says_whether_it_is_ours(void**) {
  watch::LunSnapshot lun = lun_named("vol0");
  assert_null(find(of(lun), "ballast_lun_owner", "lun=vol0"));
  lun.access = "standby";
  assert_true(get(of(lun), "ballast_lun_owner", "lun=vol0").gauge.value == 0);
  lun.access = "owner";
  assert_true(get(of(lun), "ballast_lun_owner", "lun=vol0").gauge.value == 1);
}

// --- what is missing

constexpr const char* missing = "ballast_metrics_missing";

void a_plugin_of_another_version_takes_only_its_own_metrics_away(void**) {
  const Tree tree;
  tree.add_backstore("vol0", 0, "file=/srv/vol0.raw");
  tree.export_backstores(1, "64");
  const watch::LunSnapshot lun = lun_named("vol0");
  const std::string list = watch::report::list({&lun, 1}, {});
  for (const char* const unknown :
       {"", "nonsense", "[]", R"({"luns": []})", R"({"version": 2, "luns": []})",
        R"({"version": 1, "luns": 7})", R"({"version": 1, "luns": [{"name": "vol0"}]})",
        R"({"version": 1, "luns": [7]})"}) {
    const metrics::PluginAnswers plugin{std::string{"9.0.0"}, read_answer(list),
                                        read_answer(unknown), Reading{}};
    const auto [families, sentences] = metrics::gather(plugin, metrics::look(tree.files()));
    assert_int_equal(sentences.size(), 1);
    assert_true(get(families, "ballast_up", "").gauge.value == 1);
    assert_true(get(families, missing, "part=luns").gauge.value == 0);
    assert_true(get(families, missing, "part=counters").gauge.value == 1);
    assert_non_null(find(families, "ballast_lun_stalled", "lun=vol0"));
    assert_null(find(families, "ballast_lun_commands_total", "lun=vol0"));
    assert_non_null(find(families, "ballast_build_info",
                         std::string{"tool_version="} + version + ",version=9.0.0"));
  }
}

metrics::PluginAnswers no_plugin() {
  const Error error{ESRCH, "tcmu-runner is not running"};
  return {error, error, error, error};
}

void a_target_whose_plugin_does_not_answer_is_down(void**) {
  const Tree tree;
  tree.add_backstore("vol0", 0, "file=/srv/vol0.raw");
  tree.export_backstores(1, "64");
  const auto [families, sentences] = metrics::gather(no_plugin(), metrics::look(tree.files()));
  assert_int_equal(sentences.size(), 1);
  assert_true(get(families, "ballast_up", "").gauge.value == 0);
  assert_true(get(families, missing, "part=luns").gauge.value == 1);
  assert_true(std::ranges::any_of(
      families, [](const auto& family) { return family.name == "ballast_lun_export_info"; }));
}

void an_initiator_is_not_down(void**) {
  const Tree tree;
  tree.add_disk("sda", 0);
  const auto [families, sentences] = metrics::gather(no_plugin(), metrics::look(tree.files()));
  assert_true(sentences.empty());
  assert_null(find(families, "ballast_up", ""));
  assert_true(get(families, missing, "part=luns").gauge.value == 0);
  assert_true(std::ranges::any_of(
      families, [](const auto& family) { return family.name == "ballast_disk_survives_seconds"; }));
}

void files_that_cannot_be_read_take_only_their_own_metrics_away(void**) {
  const watch::LunSnapshot lun = lun_named("vol0");
  const metrics::PluginAnswers plugin{std::string{"0.1.0"},
                                      read_answer(watch::report::list({&lun, 1}, {})),
                                      read_answer(watch::report::stats({&lun, 1}, {})), Reading{}};
  const auto [families, sentences] = metrics::gather(plugin, std::nullopt);
  assert_int_equal(sentences.size(), 1);
  assert_true(get(families, missing, "part=machine").gauge.value == 1);
  assert_non_null(find(families, "ballast_lun_commands_total", "lun=vol0"));
}

// --- what names metrics

std::string content_of(const char* path) {
  const std::optional<std::string> content =
      Files{std::filesystem::current_path().string()}.read(path);
  if (!content) {
    print_error("%s cannot be read\n", path);
    assert_true(content.has_value());
  }
  return *content;
}

// The names of the series that a family has.
void add_series(const prometheus::MetricFamily& family, std::set<std::string>& names) {
  if (family.type != prometheus::MetricType::Histogram) {
    names.insert(family.name);
    return;
  }
  for (const char* const of_histogram : {"_bucket", "_count", "_sum"}) {
    names.insert(family.name + of_histogram);
  }
}

void rules_and_dashboard_name_metrics_that_there_are(void**) {
  std::set<std::string> series;
  for (const prometheus::MetricFamily& family : everything()) {
    add_series(family, series);
  }
  for (const char* const path : {"/targetcli-config/prometheus/ballast.rules.yml",
                                 "/targetcli-config/prometheus/ballast-dashboard.json"}) {
    const std::string text = content_of(path);
    const std::regex name{"ballast_[a-z_]+"};
    std::size_t found = 0;
    for (std::sregex_iterator at{text.begin(), text.end(), name}, end; at != end; ++at, ++found) {
      if (!series.contains(at->str())) {
        print_error("%s names %s, and there is none\n", path, at->str().c_str());
        assert_true(false);
      }
    }
    assert_true(found > 10);
  }
}

void the_manual_names_metrics_that_there_are(void**) {
  std::set<std::string> names;
  for (const prometheus::MetricFamily& family : everything()) {
    names.insert(family.name);
  }
  const std::string text = content_of("/docs/monitoring.md");
  const std::regex name{"`(ballast_[a-z_]+)"};
  for (std::sregex_iterator at{text.begin(), text.end(), name}, end; at != end; ++at) {
    if (!names.contains(at->str(1))) {
      print_error("docs/monitoring.md names %s, and there is none\n", at->str(1).c_str());
      assert_true(false);
    }
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(each_counter_is_a_metric),
      cmocka_unit_test(a_histogram_is_cumulative_and_exact_at_powers_of_two),
      cmocka_unit_test(a_stalled_lun_says_so),
      cmocka_unit_test(a_silent_lun_is_there),
      cmocka_unit_test(stages_that_nobody_was_in_are_left_out),
      cmocka_unit_test(errors_of_the_store_are_counted),
      cmocka_unit_test(a_lun_says_who_sees_it),
      cmocka_unit_test(a_disk_says_how_long_it_survives),
      cmocka_unit_test(a_name_of_a_metric_stands_once),
      cmocka_unit_test(a_log_says_what_waits_in_it),
      cmocka_unit_test(a_shared_store_says_whether_it_is_ours),
      cmocka_unit_test(a_plugin_of_another_version_takes_only_its_own_metrics_away),
      cmocka_unit_test(a_target_whose_plugin_does_not_answer_is_down),
      cmocka_unit_test(an_initiator_is_not_down),
      cmocka_unit_test(files_that_cannot_be_read_take_only_their_own_metrics_away),
      cmocka_unit_test(rules_and_dashboard_name_metrics_that_there_are),
      cmocka_unit_test(the_manual_names_metrics_that_there_are),
  };
  return cmocka_run_group_tests_name("metrics", tests, nullptr, nullptr);
}
