// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <string>

#include "kmodules/io_uring.h"
#include "kmodules/report.h"
#include "tests/cmocka.h"

using namespace ballast::kmod;

namespace {

// The mailbox as a 64-bit kernel lays it out: u16 version, u16 flags, u32 ring offset, u32 ring
// size, u32 head.
std::array<std::byte, 16> mailbox_image(std::uint16_t version, std::uint16_t flags) {
  std::array<std::byte, 16> image{};
  const std::uint32_t offset = 128, size = 8 << 20;
  std::memcpy(image.data(), &version, 2);
  std::memcpy(image.data() + 2, &flags, 2);
  std::memcpy(image.data() + 4, &offset, 4);
  std::memcpy(image.data() + 8, &size, 4);
  return image;
}

const CapabilityInfo& info(Capability capability) {
  for (const CapabilityInfo& each : capabilities()) {
    if (each.capability == capability) {
      return each;
    }
  }
  std::abort();
}

Findings all_in_state(State state) {
  Findings findings;
  findings.kernel = {"6.1.0-test-amd64", true, true};
  findings.configfs_mounted = true;
  findings.no_tcmu_because = "a test";
  for (const Module& module : modules()) {
    findings.modules.push_back({module, state});
  }
  return findings;
}

void set_state(Findings& findings, std::string_view name, State state) {
  for (ModuleFinding& finding : findings.modules) {
    if (finding.module.name == name) {
      finding.state = state;
    }
  }
}

// --- mailbox -------------------------------------------------------------------------------------

void a_mailbox_is_read_field_by_field(void**) {
  const auto image = mailbox_image(2, 0xF);
  const auto mailbox = parse_mailbox(image);
  assert_true(mailbox.ok());
  assert_int_equal(mailbox.value().flags, 0xF);
  assert_int_equal(mailbox.value().ring_offset, 128);
  assert_int_equal(mailbox.value().ring_bytes, 8 << 20);
}

void a_mailbox_of_another_version_is_refused(void**) {
  const auto image = mailbox_image(3, 0xF);
  const auto mailbox = parse_mailbox(image);
  assert_false(mailbox.ok());
  assert_non_null(strstr(mailbox.error().message.c_str(), "version 3"));
}

void half_a_mailbox_is_refused(void**) {
  const auto image = mailbox_image(2, 0xF);
  assert_false(parse_mailbox(std::span{image}.first(8)).ok());
}

// --- the plugin's report -------------------------------------------------------------------------

void the_plugin_tells_a_mailbox(void**) {
  const auto told = parse_list(
      R"({"version": 1, "report": "list", "luns": [{"name": "vol0", "more": 1, "mailbox":
          {"version": 2, "flags": 15, "ring_offset": 128, "ring_bytes": 8388608}}], "silent": []})");
  assert_true(told.has_value());
  assert_int_equal(told->version, 2);
  assert_int_equal(told->flags, 15);
  assert_int_equal(told->ring_offset, 128);
  assert_int_equal(told->ring_bytes, 8 << 20);
}

void a_plugin_that_tells_none_is_passed_over(void**) {
  for (const char* const report :
       {R"({"version": 1, "luns": [], "silent": ["vol0"]})",  // no LUN answers
        R"({"version": 1, "luns": [{"name": "vol0"}]})",      // an older plugin
        R"({"version": 1, "luns": [{"name": "vol0", "mailbox": null}]})",
        R"({"version": 2, "luns": [{"name": "vol0", "mailbox":
            {"version": 2, "flags": 15, "ring_offset": 128, "ring_bytes": 8388608}}]})",
        "[]", "{}", ""}) {
    assert_false(parse_list(report).has_value());
  }
}

// --- capabilities --------------------------------------------------------------------------------

void a_mailbox_decides(void**) {
  Tcmu tcmu;
  tcmu.actions = {"free_kept_buf"};
  tcmu.mailbox = Mailbox{2, 0x5, 128, 8 << 20};
  assert_int_equal(judge(tcmu, info(Capability::out_of_order)).answer, Answer::yes);
  assert_int_equal(judge(tcmu, info(Capability::read_length)).answer, Answer::no);
  assert_int_equal(judge(tcmu, info(Capability::tmr)).answer, Answer::yes);
  assert_int_equal(judge(tcmu, info(Capability::keep_buffer)).answer, Answer::no);
}

void without_a_mailbox_attributes_decide(void**) {
  Tcmu tcmu;
  tcmu.attributes = {{"cmd_time_out", "30"}, {"tmr_notification", "0"}};
  tcmu.actions = {"block_dev", "free_kept_buf", "reset_ring"};
  for (const CapabilityInfo& each : capabilities()) {
    assert_int_equal(judge(tcmu, each).answer, Answer::yes);
  }
}

void an_old_kernel_has_what_can_be_shown_and_no_more(void**) {
  Tcmu tcmu;
  tcmu.attributes = {{"cmd_time_out", "30"}};
  tcmu.actions = {"block_dev", "reset_ring"};
  assert_int_equal(judge(tcmu, info(Capability::out_of_order)).answer, Answer::unknown);
  assert_int_equal(judge(tcmu, info(Capability::tmr)).answer, Answer::no);
  assert_int_equal(judge(tcmu, info(Capability::keep_buffer)).answer, Answer::no);
}

void with_nothing_to_look_at_all_is_unknown(void**) {
  for (const CapabilityInfo& each : capabilities()) {
    assert_int_equal(judge(Tcmu{}, each).answer, Answer::unknown);
  }
}

// --- the verdict ---------------------------------------------------------------------------------

void loaded_and_built_in_are_ready(void**) {
  assert_int_equal(verdict(all_in_state(State::loaded)), exit_ready);
  assert_int_equal(verdict(all_in_state(State::builtin)), exit_ready);
}

void loadable_is_not_ready_yet(void**) {
  assert_int_equal(verdict(all_in_state(State::loadable)), exit_not_loaded);
}

void configfs_must_be_mounted(void**) {
  Findings findings = all_in_state(State::loaded);
  findings.configfs_mounted = false;
  assert_int_equal(verdict(findings), exit_not_loaded);
}

void a_missing_module_outweighs_a_loadable_one(void**) {
  Findings findings = all_in_state(State::loadable);
  set_state(findings, "target_core_user", State::missing);
  assert_int_equal(verdict(findings), exit_missing);
  assert_non_null(strstr(as_text(findings).c_str(), "CONFIG_TCM_USER2"));
}

void an_initiators_module_is_not_the_targets_need(void**) {
  Findings findings = all_in_state(State::loaded);
  set_state(findings, "iscsi_tcp", State::missing);
  set_state(findings, "tcm_loop", State::missing);
  assert_int_equal(verdict(findings), exit_ready);
}

void without_io_uring_nothing_runs(void**) {
  Findings findings = all_in_state(State::loaded);
  findings.no_io_uring_because = judge_io_uring(EPERM, "2", true);
  assert_int_equal(verdict(findings), exit_missing);
  const char* const advice = "sysctl -w kernel.io_uring_disabled=0";
  assert_non_null(strstr(as_text(findings).c_str(), advice));
  assert_non_null(strstr(as_json(findings).c_str(), advice));
  const auto document = nlohmann::json::parse(as_json(findings));
  assert_false(document["io_uring"].get<bool>());
  assert_string_equal(document["report"].get<std::string>().c_str(), "kmod");
  assert_int_equal(document["version"].get<int>(), 1);
}

void io_uring_for_root_only_is_enough(void**) {
  assert_string_equal(judge_io_uring(EPERM, "1", false).c_str(), "");
  assert_non_null(strstr(judge_io_uring(EPERM, "1", true).c_str(), "switched off"));
  assert_non_null(strstr(judge_io_uring(EPERM, "", true).c_str(), "seccomp"));
  assert_non_null(strstr(judge_io_uring(ENOSYS, "", true).c_str(), "CONFIG_IO_URING"));
  assert_string_equal(judge_io_uring(0, "0", true).c_str(), "");
}

void advice_fits_the_kernel(void**) {
  const Module& module = modules().front();
  assert_non_null(strstr(advice({"6.1.0-9-amd64", false, true}, module).c_str(),
                         "apt-get install linux-image-6.1.0-9-amd64"));
  assert_non_null(strstr(advice({"6.1.0-9-amd64", true, true}, module).c_str(), module.config));
  assert_non_null(strstr(advice({"6.1", false, false}, module).c_str(), "loads no modules"));
}

// --- JSON ----------------------------------------------------------------------------------------

void json_says_what_the_text_says(void**) {
  Findings findings = all_in_state(State::loaded);
  set_state(findings, "uio", State::missing);
  findings.tcmu = Tcmu{};
  findings.tcmu->mailbox = Mailbox{2, 0xF, 128, 8 << 20};
  findings.tcmu->mailbox_from = "mailbox of uio0";
  findings.tcmu->attributes = {{"dev_config", "ballast/file=/srv/\xff.raw"}};
  const auto json = nlohmann::json::parse(as_json(findings));
  assert_false(json["ready"].get<bool>());
  assert_string_equal(json["modules"][1]["state"].get<std::string>().c_str(), "missing");
  assert_true(json["modules"][1].contains("advice"));
  assert_string_equal(
      json["tcmu"]["capabilities"]["keep_buffer"]["answer"].get<std::string>().c_str(), "yes");
  assert_int_equal(json["tcmu"]["mailbox"]["flags"].get<int>(), 15);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_mailbox_is_read_field_by_field),
      cmocka_unit_test(a_mailbox_of_another_version_is_refused),
      cmocka_unit_test(half_a_mailbox_is_refused),
      cmocka_unit_test(the_plugin_tells_a_mailbox),
      cmocka_unit_test(a_plugin_that_tells_none_is_passed_over),
      cmocka_unit_test(a_mailbox_decides),
      cmocka_unit_test(without_a_mailbox_attributes_decide),
      cmocka_unit_test(an_old_kernel_has_what_can_be_shown_and_no_more),
      cmocka_unit_test(with_nothing_to_look_at_all_is_unknown),
      cmocka_unit_test(loaded_and_built_in_are_ready),
      cmocka_unit_test(loadable_is_not_ready_yet),
      cmocka_unit_test(configfs_must_be_mounted),
      cmocka_unit_test(a_missing_module_outweighs_a_loadable_one),
      cmocka_unit_test(an_initiators_module_is_not_the_targets_need),
      cmocka_unit_test(without_io_uring_nothing_runs),
      cmocka_unit_test(io_uring_for_root_only_is_enough),
      cmocka_unit_test(advice_fits_the_kernel),
      cmocka_unit_test(json_says_what_the_text_says),
  };
  return cmocka_run_group_tests_name("ballast-kmod", tests, nullptr, nullptr);
}
