// SPDX-License-Identifier: Apache-2.0
// ballastctl log, as a program, on logs that the library has made in front of real files.
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "tests/ballastctl/logged_site.h"
#include "tests/unit/backend/loop_device.h"

// after the others
#include "tests/cmocka.h"
#include "tests/json_manual.h"

using namespace ballast;
using Site = test::LoggedSite;
using write_log::page;
using write_log::ring_begin;

namespace {

constexpr Bytes lun = Site::lun;
constexpr std::uint64_t block = Site::block;

struct Said {
  int status;
  std::string text;  // of both streams
};

Said ballastctl(const std::string& arguments, const char* redirection = " 2>&1") {
  const std::string command =
      std::string{std::getenv("BALLASTCTL")} + " " + arguments + redirection;
  FILE* const pipe = ::popen(command.c_str(), "r");
  assert_non_null(pipe);
  Said said{};
  std::array<char, 4096> bytes{};
  for (std::size_t got = 0; (got = std::fread(bytes.data(), 1, bytes.size(), pipe)) > 0;) {
    said.text.append(bytes.data(), got);
  }
  const int status = ::pclose(pipe);
  said.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return said;
}

void assert_says(const Said& said, int status, const std::string& part) {
  if (said.status != status || said.text.find(part) == std::string::npos) {
    std::fprintf(stderr, "exit %d, wanted %d with \"%s\": %s\n", said.status, status, part.c_str(),
                 said.text.c_str());
  }
  assert_int_equal(said.status, status);
  assert_true(said.text.find(part) != std::string::npos);
}

std::string stdout_of(const std::string& arguments, int status) {
  const Said said = ballastctl(arguments, " 2>/dev/null");
  assert_int_equal(said.status, status);
  return said.text;
}

// All that it prints on standard output.
nlohmann::json document_of(const std::string& arguments) {
  return nlohmann::json::parse(stdout_of(arguments, 0));
}

std::string bytes_of(const std::string& path) {
  std::ifstream file{path, std::ios::binary};
  return {std::istreambuf_iterator<char>{file}, {}};
}

// --- status --------------------------------------------------------------------------------------

void status_says_whose_log_it_is(void**) {
  Site site;
  site.make_filled();
  const Said said = ballastctl("log status " + site.log() + " --store " + site.store());
  assert_says(said, 0, "the write log of file=" + site.store() + " on gw1");
  assert_says(said, 0, "LUN of 8 MiB in blocks of 512 bytes; log of 65 MiB");
  assert_says(said, 0, "not clean: ");
  assert_says(said, 0, site.store() + " needs this log");
}

void status_works_while_a_lun_has_the_log(void**) {
  Site site;
  site.make();
  site.open_log();
  assert_says(ballastctl("log status " + site.log()), 0, "in use; as of the last superblock");
  site.close_log();
  assert_says(ballastctl("log status " + site.log()), 0, "clean: the store has everything");
}

void status_says_that_a_store_needs_another_log(void**) {
  Site site;
  Site other;
  site.make();
  other.make(2);
  assert_says(ballastctl("log status " + site.log() + " --store " + other.store()), 0,
              other.store() + " is not the store of this log");
}

void status_as_json_has_what_the_text_has(void**) {
  Site site;
  site.make_filled();
  const Said said = ballastctl("log status --json " + site.log() + " --store " + site.store());
  assert_int_equal(said.status, 0);
  const nlohmann::json json = nlohmann::json::parse(said.text);
  assert_true(json.at("label") == "this_log");
  assert_true(json.at("owner") == 3);
  assert_true(json.at("lun_bytes") == lun.value());
  assert_true(json.at("in_use") == false);
  assert_true(json.at("clean") == false);
  test::expect_as_in_manual(json, {"OTHER DOCUMENTS", "log status of a log"});
}

void a_file_that_is_no_log_is_refused(void**) {
  Site site;
  std::ofstream{site.log()} << std::string(8192, 'x');
  for (const char* verb : {"status ", "verify "}) {
    assert_says(ballastctl(std::string{"log "} + verb + site.log()), 1, "is no write log");
  }
  assert_says(ballastctl("log status " + site.file("none")), 1, "cannot be opened");
}

// --- verify --------------------------------------------------------------------------------------

void verify_counts_what_a_log_has(void**) {
  Site site;
  site.make_filled();
  const std::string before = bytes_of(site.log());
  const Said said = ballastctl("log verify --json " + site.log());
  assert_int_equal(said.status, 0);
  const nlohmann::json json = nlohmann::json::parse(said.text);
  assert_true(json.at("ok") == true);
  assert_true(json.at("blocks") >= 5);
  assert_true(json.at("data_bytes") == (24 + 2048 - 20 + 8) * block);
  assert_true(json.at("zeroed_bytes") == 20 * block);
  test::expect_in_manual(json, {"OTHER DOCUMENTS", "log verify"});
  assert_true(bytes_of(site.log()) == before);
  assert_says(ballastctl("log verify " + site.log()), 0, " is whole: ");
}

void verify_finds_a_flipped_byte(void**) {
  Site site;
  site.make_filled();
  {
    // The data of the first block, which later ones call durable.
    std::fstream log{site.log(), std::ios::in | std::ios::out | std::ios::binary};
    log.seekp(ring_begin + page + 100);
    log.put('!');
  }
  const Said said = ballastctl("log verify " + site.log());
  assert_says(said, 1, "the log is damaged");
  assert_says(said, 1, "It changed these blocks of the LUN: 0+16");
  assert_says(ballastctl("log verify --json " + site.log()), 1, "\"ok\": false");
  assert_says(ballastctl("log verify --json " + site.log()), 1, "\"why\": ");
  assert_says(ballastctl("log drain " + site.both()), 1, "the log is damaged");
  assert_true(site.label().names_log());
}

// --- drain ---------------------------------------------------------------------------------------

void a_drained_log_leaves_the_data_and_a_label_without_a_log(void**) {
  Site site;
  site.make_filled();
  assert_says(ballastctl("log drain " + site.both()), 0, "needs no log now");
  assert_true(bytes_of(site.store()) == site.image());
  assert_false(site.label().names_log());
  assert_int_equal(site.label().owner, 4);
  assert_true(backend::check_label(site.store(), site.label(), false).ok());
  assert_says(ballastctl("log status " + site.log() + " --store " + site.store()), 0,
              "clean: the store has everything");
  assert_says(ballastctl("log verify " + site.log()), 0, " is whole and empty");
  assert_says(ballastctl("log drain " + site.both()), 1, "was let go from this log before");
}

// As after a drain that was ended just before it wrote the label.
void a_log_without_changes_is_let_go(void**) {
  Site site;
  site.make();
  assert_true(site.label().names_log());
  assert_says(ballastctl("log drain " + site.both()), 0, "needs no log now");
  assert_false(site.label().names_log());
}

void a_log_in_use_is_not_drained(void**) {
  Site site;
  site.make();
  site.open_log();
  for (const std::string& verb : {"drain " + site.both(), "verify " + site.log(),
                                  "export " + site.log() + " " + site.file("saved")}) {
    assert_says(ballastctl("log " + verb), 1, "is locked by another LUN or program");
  }
  site.close_log();
  assert_true(site.label().names_log());
}

void a_log_is_not_drained_to_another_store(void**) {
  Site site;
  Site other;
  site.make_filled();
  other.make(2);
  const std::string before = bytes_of(other.store());
  assert_says(ballastctl("log drain " + site.log() + " " + other.store()), 1,
              "which needs another log, " + other.log() + " on gw1");
  std::ofstream{site.file("plain")} << std::string(lun.value(), 'x');
  assert_says(ballastctl("log drain " + site.log() + " " + site.file("plain")), 1,
              "has no label that names a log");
  assert_true(bytes_of(other.store()) == before);
  assert_true(bytes_of(site.file("plain")) == std::string(lun.value(), 'x'));
  assert_says(ballastctl("log drain " + site.both()), 0, "needs no log now");
}

void a_store_that_is_too_small_is_not_drained_to(void**) {
  Site site;
  site.make_filled();
  assert_int_equal(::truncate(site.store().c_str(), 1 << 20), 0);
  assert_says(ballastctl("log drain " + site.both()), 1, "Make the store as large again");
  assert_true(site.label().names_log());
}

void an_image_in_ceph_is_left_to_its_lun(void**) {
  Site site;
  site.make();
  assert_says(ballastctl("log drain " + site.log() + " rbd=pool/image"), 1, "open its LUN");
}

void drain_as_json_says_whose_log_it_was(void**) {
  Site site;
  site.make_filled();
  const nlohmann::json json = document_of("log drain --json " + site.both());
  assert_true(json.at("report") == "log_drain");
  assert_true(json.at("lun").is_null());
  assert_true(json.at("log") == site.log());
  assert_true(json.at("store") == "file=" + site.store());
  assert_true(json.at("let_go") == true);
  test::expect_as_in_manual(json, {"OTHER DOCUMENTS", "log drain"});
  assert_false(site.label().names_log());
}

// --- abandon -------------------------------------------------------------------------------------

void abandon_needs_yes(void**) {
  Site site;
  site.make_filled();
  const Said said = ballastctl("log abandon " + site.store());
  assert_says(said, 1, "add --yes");
  assert_says(said, 1, "needs the log " + site.log() + " on gw1");
  assert_true(site.label().names_log());
  assert_int_equal(site.label().owner, 3);
}

void abandon_as_json_says_which_log_it_was(void**) {
  Site site;
  site.make_filled();
  const std::string abandon = "log abandon --json " + site.store();
  const std::string nothing = stdout_of(abandon, 1);
  assert_string_equal(nothing.c_str(), "");
  assert_says(ballastctl(abandon), 1, "needs the log " + site.log() + " on gw1");
  assert_true(site.label().names_log());
  const nlohmann::json json = document_of(abandon + " --yes");
  assert_true(json.at("report") == "log_abandon");
  assert_true(json.at("store") == "file=" + site.store());
  assert_true(json.at("log") == site.log());
  assert_true(json.at("host") == "gw1");
  assert_true(json.at("owner") == 4);
  test::expect_as_in_manual(json, {"OTHER DOCUMENTS", "log abandon"});
}

void an_abandoned_log_is_refused(void**) {
  Site site;
  site.make_filled();
  assert_says(ballastctl("log abandon --yes " + site.store()), 0, "The log is abandoned");
  assert_false(site.label().names_log());
  assert_int_equal(site.label().owner, 4);
  assert_says(ballastctl("log drain " + site.both()), 1, "was let go from this log before");
  assert_says(ballastctl("log abandon --yes " + site.store()), 1, "needs no write log");
}

void no_label_is_written_while_a_lun_has_the_store(void**) {
  Site site;
  site.make();
  site.open_log();
  assert_says(ballastctl("log abandon --yes " + site.store()), 1,
              "is locked by another LUN or program");
  assert_says(ballastctl("log relabel --yes " + site.both()), 1,
              "is locked by another LUN or program");
  site.close_log();
  assert_int_equal(site.label().owner, 3);
}

void a_damaged_label_can_be_abandoned(void**) {
  Site site;
  site.make_filled();
  const std::string rubbish = "BLGLABEL" + std::string(100, 'x');
  assert_int_equal(
      ::setxattr(site.store().c_str(), "user.ballast.log", rubbish.data(), rubbish.size(), 0), 0);
  assert_false(backend::read_label(site.store(), lun).ok());
  assert_says(ballastctl("log abandon " + site.store()), 1, "add --yes");
  assert_says(ballastctl("log abandon --yes " + site.store()), 0, "The log is abandoned");
  assert_false(site.label().names_log());
  assert_says(ballastctl("log drain " + site.both()), 1, "was not written to");
}

void a_damaged_label_is_written_anew_from_the_log(void**) {
  Site site;
  site.make_filled();
  const std::string relabel = "log relabel " + site.both();
  const std::string rubbish = "BLGLABEL" + std::string(100, 'x');
  assert_int_equal(
      ::setxattr(site.store().c_str(), "user.ballast.log", rubbish.data(), rubbish.size(), 0), 0);
  assert_says(ballastctl("log drain " + site.both()), 1, "run \"ballastctl log relabel\"");
  const Said asks = ballastctl(relabel);
  assert_says(asks, 1, "is the log of file=" + site.store() + " on gw1");
  assert_says(asks, 1, "add --yes");
  assert_false(backend::read_label(site.store(), lun).ok());
  assert_says(ballastctl(relabel + " --yes"), 0, "needs this log now");
  assert_int_equal(site.label().owner, 3);
  assert_says(ballastctl("log drain " + site.both()), 0, "needs no log now");
  assert_true(bytes_of(site.store()) == site.image());
}

void a_label_that_is_gone_is_written_anew_from_the_log(void**) {
  Site site;
  site.make_filled();
  assert_int_equal(::removexattr(site.store().c_str(), "user.ballast.log"), 0);
  assert_says(ballastctl("log drain " + site.both()), 1, "run \"ballastctl log relabel\"");
  const Said asks = ballastctl("log relabel " + site.both());
  assert_says(asks, 1, "has no label");
  assert_says(asks, 1, "no copy of an earlier time");
  assert_false(backend::read_label(site.store(), lun).value().has_value());
  assert_says(ballastctl("log relabel --yes " + site.both()), 0, "needs this log now");
  assert_int_equal(site.label().owner, 3);
  assert_says(ballastctl("log drain " + site.both()), 0, "needs no log now");
  assert_true(bytes_of(site.store()) == site.image());
}

void relabel_as_json_says_what_the_label_was(void**) {
  Site site;
  site.make_filled();
  const std::string relabel = "log relabel --json " + site.both();
  assert_int_equal(::removexattr(site.store().c_str(), "user.ballast.log"), 0);
  const std::string nothing = stdout_of(relabel, 1);
  assert_string_equal(nothing.c_str(), "");
  const nlohmann::json json = document_of(relabel + " --yes");
  assert_true(json.at("report") == "log_relabel");
  assert_true(json.at("log") == site.log());
  assert_true(json.at("store") == "file=" + site.store());
  assert_true(json.at("host") == "gw1");
  assert_true(json.at("owner") == 3);
  assert_true(json.at("label_before") == "none");
  test::expect_as_in_manual(json, {"OTHER DOCUMENTS", "log relabel"});
}

// The label may say that the log was given up.
void a_label_that_is_whole_is_not_written_anew(void**) {
  Site site;
  site.make_filled();
  assert_says(ballastctl("log abandon --yes " + site.store()), 0, "The log is abandoned");
  assert_says(ballastctl("log relabel --yes " + site.both()), 1, "is not damaged");
  assert_false(site.label().names_log());
}

void a_store_in_use_keeps_its_label(void**) {
  Site site;
  site.make();
  site.open_log();
  assert_says(ballastctl("log abandon --yes " + site.store()), 1,
              "is locked by another LUN or program");
  site.close_log();
  assert_true(site.label().names_log());
}

// --- a block device
// -------------------------------------------------------------------------------

// A device with room for a label behind the LUN. Skips the test if there is none to be had.
std::unique_ptr<test::LoopDevice> make_device() {
  auto device = std::make_unique<test::LoopDevice>(lun + Bytes{2 << 20});
  if (device->path().empty()) {
    print_message("skip: %s\n", device->why().c_str());
    skip();
  }
  return device;
}

void a_log_is_drained_to_a_device(void**) {
  const auto device = make_device();
  Site site{device->path()};
  site.make_filled();
  assert_says(ballastctl("log status " + site.log() + " --store " + site.store()), 0,
              "needs this log");
  assert_says(ballastctl("log drain " + site.both()), 0, "needs no log now");
  assert_true(bytes_of(site.store()).substr(0, lun.value()) == site.image());
  assert_false(site.label().names_log());
}

void abandon_writes_no_label_into_the_lun(void**) {
  const auto device = make_device();
  Site site{device->path()};
  site.make_filled();
  const std::string before = bytes_of(site.store());
  assert_says(ballastctl("log abandon --yes " + site.store()), 2, "--size");
  assert_says(ballastctl("log abandon --yes --size 4MiB " + site.store()), 1,
              "there is no label of a write log behind the first 4MiB");
  assert_true(bytes_of(site.store()) == before);
  assert_says(ballastctl("log abandon --yes --size 8MiB " + site.store()), 0,
              "The log is abandoned");
  assert_true(bytes_of(site.store()).substr(0, lun.value()) == before.substr(0, lun.value()));
  assert_false(site.label().names_log());
}

void rot(const Site& site, std::uint64_t offset) {
  std::fstream device{site.store(), std::ios::in | std::ios::out | std::ios::binary};
  device.seekp(static_cast<std::streamoff>(offset) + 60);
  device << "rot";
}

void one_damaged_page_of_a_device_is_mended_by_the_other(void**) {
  const auto device = make_device();
  Site site{device->path()};
  site.make_filled();
  rot(site, lun.value());
  assert_says(ballastctl("log drain " + site.both()), 0, "needs no log now");
  assert_false(site.label().names_log());
  rot(site, (lun + Bytes{2 << 20}).value() - page);
  assert_false(site.label().names_log());
}

void a_device_with_two_damaged_pages_gets_its_label_from_the_log(void**) {
  const auto device = make_device();
  Site site{device->path()};
  site.make_filled();
  rot(site, lun.value());
  rot(site, (lun + Bytes{2 << 20}).value() - page);
  assert_says(ballastctl("log drain " + site.both()), 1, "run \"ballastctl log relabel\"");
  assert_says(ballastctl("log relabel --yes " + site.both()), 0, "needs this log now");
  assert_says(ballastctl("log drain " + site.both()), 0, "needs no log now");
  assert_true(bytes_of(site.store()).substr(0, lun.value()) == site.image());
}

void a_device_with_two_damaged_pages_can_do_without_its_log(void**) {
  const auto device = make_device();
  Site site{device->path()};
  site.make_filled();
  rot(site, lun.value());
  rot(site, (lun + Bytes{2 << 20}).value() - page);
  assert_says(ballastctl("log abandon --yes --size 8MiB " + site.store()), 0,
              "The log is abandoned");
  assert_false(site.label().names_log());
}

// --- export --------------------------------------------------------------------------------------

void export_saves_what_an_abandoned_log_has(void**) {
  Site site;
  site.make_filled();
  assert_says(ballastctl("log abandon --yes " + site.store()), 0, "");
  const std::string before = bytes_of(site.log());
  const Said said = ballastctl("log export " + site.log() + " " + site.file("saved"));
  assert_int_equal(said.status, 0);
  assert_string_equal(said.text.c_str(),
                      "0 12288 data\n512000 5120 data\n517120 10240 zeros\n"
                      "527360 1033216 data\n2048000 4096 data\n");
  assert_true(bytes_of(site.file("saved")) == site.image());
  assert_true(test::units_on_disk(site.file("saved")) * 512 < 2 << 20);
  assert_true(bytes_of(site.log()) == before);
  assert_says(ballastctl("log export " + site.log() + " " + site.file("saved")), 1,
              "cannot be created");
}

void export_as_json_has_the_ranges(void**) {
  Site site;
  site.make_filled();
  const nlohmann::json json =
      document_of("log export --json " + site.log() + " " + site.file("saved"));
  assert_true(json.at("report") == "log_export");
  assert_true(json.at("log") == site.log());
  assert_true(json.at("file") == site.file("saved"));
  const nlohmann::json zeros{{"offset_bytes", 517120}, {"length_bytes", 10240}, {"kind", "zeros"}};
  assert_int_equal(json.at("ranges").size(), 5);
  assert_true(json.at("ranges").at(2) == zeros);
  test::expect_as_in_manual(json, {"OTHER DOCUMENTS", "log export"});
}

}  // namespace

int main() {
  if (std::getenv("BALLASTCTL") == nullptr) {
    std::fprintf(stderr, "set BALLASTCTL to the program: make check-ballastctl\n");
    return 2;
  }
  const CMUnitTest tests[] = {
      cmocka_unit_test(status_says_whose_log_it_is),
      cmocka_unit_test(status_works_while_a_lun_has_the_log),
      cmocka_unit_test(status_says_that_a_store_needs_another_log),
      cmocka_unit_test(status_as_json_has_what_the_text_has),
      cmocka_unit_test(a_file_that_is_no_log_is_refused),
      cmocka_unit_test(verify_counts_what_a_log_has),
      cmocka_unit_test(verify_finds_a_flipped_byte),
      cmocka_unit_test(a_drained_log_leaves_the_data_and_a_label_without_a_log),
      cmocka_unit_test(a_log_without_changes_is_let_go),
      cmocka_unit_test(a_log_in_use_is_not_drained),
      cmocka_unit_test(a_log_is_not_drained_to_another_store),
      cmocka_unit_test(a_store_that_is_too_small_is_not_drained_to),
      cmocka_unit_test(an_image_in_ceph_is_left_to_its_lun),
      cmocka_unit_test(drain_as_json_says_whose_log_it_was),
      cmocka_unit_test(abandon_needs_yes),
      cmocka_unit_test(abandon_as_json_says_which_log_it_was),
      cmocka_unit_test(an_abandoned_log_is_refused),
      cmocka_unit_test(no_label_is_written_while_a_lun_has_the_store),
      cmocka_unit_test(a_damaged_label_can_be_abandoned),
      cmocka_unit_test(a_damaged_label_is_written_anew_from_the_log),
      cmocka_unit_test(a_label_that_is_gone_is_written_anew_from_the_log),
      cmocka_unit_test(relabel_as_json_says_what_the_label_was),
      cmocka_unit_test(a_label_that_is_whole_is_not_written_anew),
      cmocka_unit_test(a_store_in_use_keeps_its_label),
      cmocka_unit_test(a_log_is_drained_to_a_device),
      cmocka_unit_test(abandon_writes_no_label_into_the_lun),
      cmocka_unit_test(one_damaged_page_of_a_device_is_mended_by_the_other),
      cmocka_unit_test(a_device_with_two_damaged_pages_gets_its_label_from_the_log),
      cmocka_unit_test(a_device_with_two_damaged_pages_can_do_without_its_log),
      cmocka_unit_test(export_saves_what_an_abandoned_log_has),
      cmocka_unit_test(export_as_json_has_the_ranges),
  };
  return cmocka_run_group_tests_name("log", tests, nullptr, nullptr);
}
