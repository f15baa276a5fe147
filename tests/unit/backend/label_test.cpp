// SPDX-License-Identifier: Apache-2.0
// A store that is old without its write log says so, and is not opened without it.
#include "lib/backend/label.h"

#include <fcntl.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "lib/backend/absent.h"
#include "lib/backend/file_label.h"
#include "lib/base/crc32c.h"
#include "lib/base/unique_fd.h"
#include "tests/unit/backend/lab.h"
#include "tests/unit/backend/loop_device.h"
#include "tests/unit/backend/small_mount.h"

#include "tests/cmocka.h"
#include "tests/unit/backend/put_label.h"

using namespace ballast;
using namespace ballast::backend;
using namespace ballast::literals;
using namespace ballast::test;
using namespace std::chrono_literals;

namespace {

constexpr const char* attribute = "user.ballast.log";
constexpr Bytes lun_size = 1_MiB;

Label usual_label() {
  Label label{.owner = 7, .host = "gate-1", .path = "/fast/vol0.log"};
  label.store.fill(0x5a);
  label.log.fill(0xa5);
  return label;
}

// What remains after a log was abandoned.
Label label_without_log() {
  Label label{.owner = 8, .host = "gate-1", .path = ""};
  label.store.fill(0x5a);
  return label;
}

void expect_in(const std::string& message, std::initializer_list<std::string> words) {
  for (const std::string& word : words) {
    if (message.find(word) == std::string::npos) {
      print_error("\"%s\" lacks \"%s\"\n", message.c_str(), word.c_str());
      assert_true(false);
    }
  }
}

// --- the encoding

void what_is_encoded_comes_back(void**) {
  Label longest = usual_label();
  longest.host.assign(Label::longest_name, 'h');
  longest.path.assign(Label::longest_name, 'p');
  for (const Label& label : {usual_label(), label_without_log(), longest}) {
    const std::vector<std::byte> bytes = encode_label(label, 4096).value();
    assert_true(bytes.size() <= Label::most_bytes);
    assert_true(decode_label(bytes, "vol").value() == label);
    assert_int_equal(offset_of_label(bytes), 4096);
  }
}

// Stores keep their labels when Ballast is upgraded. tests/rbd/luns.cpp has the same bytes.
void the_first_version_has_these_bytes(void**) {
  Label label{.owner = 1, .host = "gate-1", .path = "/fast/vol0.log"};
  label.log.fill(0xa5);
  std::string digits;
  const std::vector<std::byte> bytes = encode_label(label).value();
  for (const std::byte byte : bytes) {
    std::array<char, 3> two{};
    std::snprintf(two.data(), two.size(), "%02x", std::to_integer<unsigned>(byte));
    digits += two.data();
  }
  assert_string_equal(
      digits.c_str(),
      "424c474c4142454c5c5c3574010000005c00000006000e0000000000000000000100000000000000"
      "00000000000000000000000000000000a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5676174652d312f66"
      "6173742f766f6c302e6c6f67");
}

void every_flipped_bit_is_refused(void**) {
  std::vector<std::byte> bytes = encode_label(usual_label()).value();
  bytes.resize(Label::most_bytes);  // as in a page
  assert_true(decode_label(bytes, "vol").ok());
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    bytes[bit / 8] ^= std::byte{1} << bit % 8;
    const Result<Label> decoded = decode_label(bytes, "vol");
    assert_false(decoded.ok());
    assert_int_equal(decoded.error().errno_value, EINVAL);
    expect_in(decoded.error().message, {"vol: the label", "damaged", "ballastctl log relabel",
                                        "ballastctl log abandon vol"});
    bytes[bit / 8] ^= std::byte{1} << bit % 8;
  }
}

void a_label_that_is_cut_off_is_refused(void**) {
  const std::vector<std::byte> bytes = encode_label(usual_label()).value();
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    assert_false(decode_label(std::span{bytes}.first(length), "vol").ok());
  }
}

void a_later_version_is_told_from_damage(void**) {
  std::vector<std::byte> bytes = encode_label(usual_label()).value();
  bytes[12] = std::byte{2};
  std::fill_n(bytes.begin() + 8, 4, std::byte{0});
  const std::uint32_t crc = crc32c(bytes);
  std::memcpy(&bytes[8], &crc, sizeof crc);
  const Result<Label> decoded = decode_label(bytes, "vol");
  assert_int_equal(decoded.error().errno_value, EPROTONOSUPPORT);
  expect_in(decoded.error().message, {"has version 2", "knows version 1"});
}

void a_name_that_does_not_fit_is_refused(void**) {
  Label label = usual_label();
  label.path.assign(Label::longest_name + 1, 'p');
  expect_in(encode_label(label).error().message, {"the path of the log has 256 bytes"});
  label = usual_label();
  label.host = "line\nbreak";
  expect_in(encode_label(label).error().message, {"the host's name", "not printable"});
}

void only_a_label_that_names_a_log_is_in_the_way(void**) {
  assert_true(check_label("vol", std::nullopt, false).ok());
  assert_true(check_label("vol", label_without_log(), false).ok());
  assert_true(check_label("vol", usual_label(), true).ok());
  const Result<void> refused = check_label("vol", usual_label(), false);
  assert_int_equal(refused.error().errno_value, EBUSY);
  expect_in(refused.error().message, {"vol is old without its write log, /fast/vol0.log on gate-1",
                                      "add ;log=/fast/vol0.log", "\"ballastctl log abandon vol\""});
}

// --- files

StoreOrder order_of(const std::string& path, bool has_log = false) {
  StoreOrder order;
  order.config = store_config(file_config(path));
  order.lun = "vol0";
  order.size = lun_size;
  order.logical_block = 512_B;
  order.has_log = has_log;
  order.interval = 20ms;
  return order;
}

// A LUN that is closed with this object. Its label is as the source gave it.
class Open {
 public:
  explicit Open(StoreOrder order) {
    const Bytes size = order.size;
    auto source = open(std::move(order), lab_.context(size, 512_B)).value();
    if (source->wait(10min) == StoreSource::State::opened) {
      store_ = source->take();
    } else {
      state_ = source->state();
      error_ = source->error();
    }
  }
  ~Open() {
    if (store_.backend != nullptr) {
      lab_.run(store_.backend->close());
    }
  }
  bool ok() const { return store_.backend != nullptr; }
  const Error& error() const { return error_; }
  StoreSource::State state() const { return state_; }
  const std::optional<Label>& label() const { return store_.label; }
  Result<void> write(std::optional<Label> label) {
    return lab_.run(store_.backend->write_label(std::move(label)));
  }
  IoStatus resize(Bytes size) { return lab_.run(store_.backend->resize(size)); }

 private:
  Lab lab_;
  Store store_;
  StoreSource::State state_ = StoreSource::State::opened;
  Error error_{};
};

void make_file(const std::string& path) {
  std::ofstream{path} << "data";
  std::filesystem::resize_file(path, lun_size.value());
}

// Whether files in the folder for tests may have attributes.
bool has_attributes() {
  const Folder folder;
  make_file(folder.file("vol"));
  return ::setxattr(folder.file("vol").c_str(), attribute, "x", 1, 0) == 0;
}

void skip_without_attributes() {
  if (!has_attributes()) {
    print_message("skip: /tmp is on a file system without extended attributes\n");
    skip();
  }
}

void a_label_is_written_while_the_lun_serves(void**) {
  skip_without_attributes();
  const Folder folder;
  const std::string path = folder.file("vol");
  {
    Open lun{order_of(path)};
    assert_false(lun.label().has_value());
    assert_true(lun.write(usual_label()).ok());
    assert_true(read_label(path, lun_size).value() == usual_label());
    assert_true(lun.write(label_without_log()).ok());
    assert_true(read_label(path, lun_size).value() == label_without_log());
    assert_true(lun.write(std::nullopt).ok());
    assert_false(read_label(path, lun_size).value().has_value());
    assert_true(lun.write(std::nullopt).ok());
    assert_true(lun.write(usual_label()).ok());
  }
  const Open again{order_of(path, true)};
  assert_true(again.label() == usual_label());
}

void a_label_that_names_a_log_refuses_who_has_none(void**) {
  skip_without_attributes();
  const Folder folder;
  const std::string path = folder.file("vol");
  make_file(path);
  assert_true(put_label(path, lun_size, usual_label()));
  const Open refused{order_of(path)};
  assert_true(refused.state() == StoreSource::State::refused);
  assert_int_equal(refused.error().errno_value, EBUSY);
  expect_in(refused.error().message, {path + " is old without its write log"});
  const Result<void> checked = check(order_of(path), 10min);
  assert_string_equal(checked.error().message.c_str(), refused.error().message.c_str());
  assert_true(check(order_of(path, true), 10min).ok());
  assert_true(put_label(path, lun_size, label_without_log()));
  const Open taken{order_of(path)};
  assert_true(taken.label() == label_without_log());
}

void a_lun_waits_for_a_label_to_go_when_the_daemon_starts(void**) {
  skip_without_attributes();
  const Folder folder;
  const std::string path = folder.file("vol");
  make_file(path);
  assert_true(put_label(path, lun_size, usual_label()));
  StoreOrder order = order_of(path);
  order.at_start = true;
  const Open waits{std::move(order)};
  assert_true(waits.state() == StoreSource::State::waiting);
}

void a_damaged_label_refuses_everybody(void**) {
  skip_without_attributes();
  const Folder folder;
  const std::string path = folder.file("vol");
  make_file(path);
  for (const std::size_t length : {std::size_t{3}, std::size_t{200}, std::size_t{3500}}) {
    const std::string rubbish(length, 'x');
    assert_int_equal(::setxattr(path.c_str(), attribute, rubbish.data(), rubbish.size(), 0), 0);
    for (const bool has_log : {false, true}) {
      const Open refused{order_of(path, has_log)};
      expect_in(refused.error().message, {path, "damaged"});
    }
  }
  assert_true(put_label(path, lun_size, usual_label()));
  assert_true(read_label(path, lun_size).value() == usual_label());
}

void a_file_system_without_attributes_has_no_labels(void**) {
  const SmallMount mount{"ramfs", ""};
  if (!mount.ok()) {
    print_message("skip: no mounts here\n");
    skip();
  }
  const std::string path = mount.file("vol");
  make_file(path);
  if (::setxattr(path.c_str(), attribute, "x", 1, 0) == 0) {
    print_message("skip: ramfs has extended attributes here\n");
    skip();
  }
  Open lun{order_of(path)};
  assert_false(lun.label().has_value());
  const Result<void> refused = lun.write(usual_label());
  assert_int_equal(refused.error().errno_value, ENOTSUP);
  expect_in(refused.error().message, {path, "without user extended attributes", "ext4"});
  assert_true(lun.write(std::nullopt).ok());
}

void a_missing_file_is_not_made_for_a_label(void**) {
  const Folder folder;
  assert_int_equal(read_label(folder.file("vol"), lun_size).error().errno_value, ENOENT);
  assert_true(std::filesystem::is_empty(folder.path()));
}

// --- other stores

void stores_without_a_place_for_a_label_say_so(void**) {
  for (const char* const kind : {"memory", "null"}) {
    StoreOrder order = order_of("");
    order.config.kind = find_kind(kind);
    Open lun{std::move(order)};
    const Result<void> refused = lun.write(usual_label());
    assert_int_equal(refused.error().errno_value, ENOTSUP);
    expect_in(refused.error().message, {kind, "has no place for the label"});
  }
  Lab lab;
  const auto absent = make_absent(lab.executor(), lun_size, 512_B);
  assert_int_equal(lab.run(absent->write_label(usual_label())).error().errno_value, ENOTCONN);
}

// --- block devices

// A loop device over a file in memory, which can grow.
class Device {
 public:
  explicit Device(Bytes size)
      : file_{::open("/dev/shm", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600)}, loop_{sized(size)} {
    if (path().empty()) {
      print_message("skip: %s\n", loop_.why().c_str());
      skip();
    }
  }
  const std::string& path() const { return loop_.path(); }
  void grow(Bytes size) {
    assert_int_equal(::ftruncate(file_, static_cast<off_t>(size.value())), 0);
    const UniqueFd device{::open(path().c_str(), O_RDWR | O_CLOEXEC)};
    assert_int_equal(::ioctl(device.get(), LOOP_SET_CAPACITY, 0), 0);
  }
  // Of the device, as it is in the file below.
  void put(std::uint64_t offset, std::span<const std::byte> bytes) {
    const UniqueFd device{::open(path().c_str(), O_RDWR | O_CLOEXEC)};
    assert_int_equal(::pwrite(device.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset)),
                     bytes.size());
    assert_int_equal(::fsync(device.get()), 0);
  }
  std::vector<std::byte> bytes(std::uint64_t offset, std::size_t length) {
    std::vector<std::byte> read(length);
    const UniqueFd device{::open(path().c_str(), O_RDONLY | O_CLOEXEC)};
    assert_int_equal(::pread(device.get(), read.data(), length, static_cast<off_t>(offset)),
                     length);
    return read;
  }

 private:
  int sized(Bytes size) const {
    return file_ >= 0 && ::ftruncate(file_, static_cast<off_t>(size.value())) == 0 ? file_ : -1;
  }
  int file_;  // the loop device closes it
  LoopDevice loop_;
};

void a_device_has_its_label_behind_the_lun(void**) {
  Device device{4_MiB};
  {
    Open lun{order_of(device.path())};
    assert_true(lun.write(usual_label()).ok());
  }
  for (const std::uint64_t place : {std::uint64_t{1} << 20, (std::uint64_t{4} << 20) - 4096}) {
    assert_true(decode_label(device.bytes(place, 4096), "").value() == usual_label());
  }
  const Open refused{order_of(device.path())};
  expect_in(refused.error().message, {device.path() + " is old without its write log"});
  {
    Open taken{order_of(device.path(), true)};
    assert_true(taken.label() == usual_label());
    assert_true(taken.write(std::nullopt).ok());
  }
  assert_true(Open{order_of(device.path())}.ok());
}

void a_label_is_found_on_a_device_that_grew(void**) {
  Device device{4_MiB};
  assert_true(put_label(device.path(), lun_size, usual_label()));
  device.grow(8_MiB);
  assert_true(read_label(device.path(), lun_size).value() == usual_label());
}

void a_label_is_found_by_a_lun_of_another_size(void**) {
  const Device device{4_MiB};
  assert_true(put_label(device.path(), lun_size, usual_label()));
  assert_true(read_label(device.path(), 3_MiB).value() == usual_label());
}

void data_of_the_lun_is_no_label(void**) {
  const Device device{4_MiB};
  assert_true(put_label(device.path(), lun_size, usual_label()));
  StoreOrder order = order_of(device.path());
  order.size = 4_MiB;
  const Open lun{std::move(order)};
  assert_true(lun.ok());
  assert_false(lun.label().has_value());
}

void a_copy_of_a_label_in_another_place_is_none(void**) {
  Device device{4_MiB};
  device.put(std::uint64_t{1} << 20, encode_label(usual_label(), 12345 * 4096).value());
  assert_false(read_label(device.path(), lun_size).value().has_value());
}

void one_whole_label_of_a_device_is_enough(void**) {
  Device device{4_MiB};
  assert_true(put_label(device.path(), lun_size, usual_label()));
  const std::array<std::byte, 1> rot{std::byte{0xff}};
  device.put((std::uint64_t{4} << 20) - 4096 + 60, rot);
  assert_true(read_label(device.path(), lun_size).value() == usual_label());
  device.put((std::uint64_t{1} << 20) + 60, rot);
  expect_in(read_label(device.path(), lun_size).error().message, {"damaged"});
}

void the_later_owner_counts_if_writing_was_cut_off(void**) {
  Device device{4_MiB};
  assert_true(put_label(device.path(), lun_size, usual_label()));
  constexpr std::uint64_t last = (std::uint64_t{4} << 20) - 4096;
  std::vector<std::byte> later = encode_label(label_without_log(), last).value();
  later.resize(4096);
  device.put(last, later);
  assert_true(read_label(device.path(), lun_size).value() == label_without_log());
}

void a_device_as_large_as_its_lun_has_no_room(void**) {
  const Device device{1_MiB};
  Open lun{order_of(device.path())};
  const Result<void> refused = lun.write(usual_label());
  assert_int_equal(refused.error().errno_value, ENOSPC);
  expect_in(refused.error().message,
            {device.path(), "no room", "make the device larger than the LUN by 4KiB"});
}

void a_label_moves_with_the_end_of_a_lun_that_grows(void**) {
  Device device{4_MiB};
  Open lun{order_of(device.path())};
  assert_true(lun.write(usual_label()).ok());
  assert_int_equal(lun.resize(2_MiB), IoStatus::ok);
  assert_true(read_label(device.path(), 2_MiB).value() == usual_label());
  assert_true(device.bytes(1 << 20, 4096) == std::vector<std::byte>(4096));
  device.grow(8_MiB);
  assert_int_equal(lun.resize(6_MiB), IoStatus::ok);
  for (const std::uint64_t place : {std::uint64_t{6} << 20, (std::uint64_t{8} << 20) - 4096}) {
    assert_true(decode_label(device.bytes(place, 4096), "").value() == usual_label());
  }
  assert_true(lun.write(label_without_log()).ok());
  assert_true(read_label(device.path(), 6_MiB).value() == label_without_log());
}

void a_lun_that_needs_its_log_does_not_grow_over_the_label(void**) {
  const Device device{4_MiB};
  Open lun{order_of(device.path())};
  assert_true(lun.write(usual_label()).ok());
  assert_int_equal(lun.resize(4_MiB), IoStatus::no_space);
  assert_true(read_label(device.path(), lun_size).value() == usual_label());
  assert_true(lun.write(label_without_log()).ok());
  assert_int_equal(lun.resize(4_MiB), IoStatus::ok);
}

// Device and LUN grew while the LUN was closed, so the label is where the record says.
void a_label_is_found_when_device_and_lun_grew(void**) {
  const Folder folder;
  Device device{4_MiB};
  StoreOrder order = order_of(device.path(), true);
  order.records = folder.file("records");
  {
    Open lun{order};
    assert_true(lun.write(usual_label()).ok());
    assert_int_equal(lun.resize(2_MiB), IoStatus::ok);
  }
  device.grow(16_MiB);
  order.size = 8_MiB;
  order.has_log = false;
  expect_in(Open{order}.error().message, {"is old without its write log"});
  order.has_log = true;
  for (int opening = 0; opening < 2; ++opening) {
    const Open lun{order};
    assert_true(lun.label() == usual_label());
    for (const std::uint64_t place : {std::uint64_t{8} << 20, (std::uint64_t{16} << 20) - 4096}) {
      assert_true(decode_label(device.bytes(place, 4096), "").value() == usual_label());
    }
    assert_true(device.bytes(2 << 20, 4096) == std::vector<std::byte>(4096));
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(what_is_encoded_comes_back),
      cmocka_unit_test(the_first_version_has_these_bytes),
      cmocka_unit_test(every_flipped_bit_is_refused),
      cmocka_unit_test(a_label_that_is_cut_off_is_refused),
      cmocka_unit_test(a_later_version_is_told_from_damage),
      cmocka_unit_test(a_name_that_does_not_fit_is_refused),
      cmocka_unit_test(only_a_label_that_names_a_log_is_in_the_way),
      cmocka_unit_test(a_label_is_written_while_the_lun_serves),
      cmocka_unit_test(a_label_that_names_a_log_refuses_who_has_none),
      cmocka_unit_test(a_lun_waits_for_a_label_to_go_when_the_daemon_starts),
      cmocka_unit_test(a_damaged_label_refuses_everybody),
      cmocka_unit_test(a_file_system_without_attributes_has_no_labels),
      cmocka_unit_test(a_missing_file_is_not_made_for_a_label),
      cmocka_unit_test(stores_without_a_place_for_a_label_say_so),
      cmocka_unit_test(a_device_has_its_label_behind_the_lun),
      cmocka_unit_test(a_label_is_found_on_a_device_that_grew),
      cmocka_unit_test(a_label_is_found_by_a_lun_of_another_size),
      cmocka_unit_test(data_of_the_lun_is_no_label),
      cmocka_unit_test(a_copy_of_a_label_in_another_place_is_none),
      cmocka_unit_test(one_whole_label_of_a_device_is_enough),
      cmocka_unit_test(the_later_owner_counts_if_writing_was_cut_off),
      cmocka_unit_test(a_device_as_large_as_its_lun_has_no_room),
      cmocka_unit_test(a_label_moves_with_the_end_of_a_lun_that_grows),
      cmocka_unit_test(a_lun_that_needs_its_log_does_not_grow_over_the_label),
      cmocka_unit_test(a_label_is_found_when_device_and_lun_grew),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
