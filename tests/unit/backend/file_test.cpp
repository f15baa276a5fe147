// SPDX-License-Identifier: Apache-2.0
// Tests that only files and block devices need. contract_test.cpp has those that all backends
// share.
#include "lib/backend/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <fstream>
#include <thread>

#include "lib/base/log.h"
#include "tests/unit/backend/lab.h"
#include "tests/unit/backend/loop_device.h"
#include "tests/unit/backend/small_mount.h"

#include "lib/base/values.h"
#include "tests/cmocka.h"

using namespace ballast;
using namespace ballast::backend;
using namespace ballast::literals;
using namespace ballast::test;

namespace {

// An open LUN, closed at the end.
struct Lun {
  Lun(const FileConfig& config, Bytes size, Bytes block = 512_B)
      : backend{open_now(config, lab.context(size, block)).value()} {}
  ~Lun() {
    if (backend != nullptr) {
      close();
    }
  }
  void close() {
    lab.run(backend->close());
    backend.reset();
  }
  IoStatus write(Bytes offset, std::size_t length, std::byte value, Fua fua = Fua::no) {
    std::vector<std::byte> bytes(length, value);
    const Flat flat{bytes};
    return lab.run(backend->write(offset, flat.view(), fua));
  }
  IoStatus read(Bytes offset, std::vector<std::byte>& into) {
    const Flat flat{into};
    return lab.run(backend->read(offset, flat.view()));
  }
  std::byte byte_at(Bytes offset) {
    std::vector<std::byte> bytes(backend->geometry().logical_block.value());
    return ok(read(offset, bytes)) ? bytes[0] : std::byte{0xEE};
  }
  std::string extents(std::size_t limit = 16) {
    std::vector<Extent> found;
    std::string text;
    if (!ok(lab.run(backend->block_status(Bytes{}, backend->geometry().size, limit, &found)))) {
      return "failed";
    }
    for (const Extent& extent : found) {
      text += (extent.allocated ? "data " : "hole ") + config::format_bytes(extent.length) + " ";
    }
    return text;
  }

  Lab lab;
  std::unique_ptr<Backend> backend;
};

// --- zero, discard, block status
// ------------------------------------------------------------------

void zeroing_with_unmap_gives_the_space_back(void**) {
  const Folder folder;
  Lun lun{file_config(folder.file("vol")), 1_MiB};
  assert_int_equal(lun.write(0_B, 1 << 20, std::byte{1}, Fua::yes), IoStatus::ok);
  const std::int64_t full = units_on_disk(folder.file("vol"));
  assert_int_equal(lun.lab.run(lun.backend->zero(0_B, 1_MiB, MayUnmap::yes)), IoStatus::ok);
  assert_true(full >= 2048);
  assert_in_range(units_on_disk(folder.file("vol")), 0, 64);
  assert_int_equal(lun.byte_at(512_KiB), std::byte{0});
}

void zeroing_without_unmap_keeps_or_takes_the_space(void**) {
  const Folder folder;
  Lun lun{file_config(folder.file("vol")), 1_MiB};
  const IoStatus status = lun.lab.run(lun.backend->zero(0_B, 1_MiB, MayUnmap::no));
  if (status == IoStatus::not_supported) {
    skip();
  }
  assert_int_equal(status, IoStatus::ok);
  assert_true(units_on_disk(folder.file("vol")) >= 2048);
}

void discard_gives_the_space_back_and_reads_zeros(void**) {
  const Folder folder;
  Lun lun{file_config(folder.file("vol")), 1_MiB};
  assert_int_equal(lun.write(0_B, 1 << 20, std::byte{1}, Fua::yes), IoStatus::ok);
  assert_int_equal(lun.lab.run(lun.backend->discard(4096_B, 1_MiB - 4096_B)), IoStatus::ok);
  assert_in_range(units_on_disk(folder.file("vol")), 0, 64);
  assert_int_equal(lun.byte_at(0_B), std::byte{1});
  assert_int_equal(lun.byte_at(4096_B), std::byte{0});
}

void a_file_system_without_zero_range_says_not_supported_and_changes_nothing(void**) {
  const Folder folder{"/dev/shm"};
  Lun lun{file_config(folder.file("vol")), 1_MiB};
  assert_int_equal(lun.write(0_B, 4096, std::byte{1}), IoStatus::ok);
  const IoStatus status = lun.lab.run(lun.backend->zero(0_B, 4096_B, MayUnmap::no));
  if (status == IoStatus::ok) {
    skip();  // this kernel has learnt it
  }
  assert_int_equal(status, IoStatus::not_supported);
  assert_int_equal(lun.byte_at(0_B), std::byte{1});
  assert_int_equal(lun.lab.run(lun.backend->zero(0_B, 4096_B, MayUnmap::yes)), IoStatus::ok);
  assert_int_equal(lun.byte_at(0_B), std::byte{0});
}

void block_status_tells_data_from_holes(void**) {
  const Folder folder;
  Lun lun{file_config(folder.file("vol")), 1_MiB};
  assert_string_equal(lun.extents().c_str(), "hole 1MiB ");
  assert_int_equal(lun.write(64_KiB, 65536, std::byte{1}, Fua::yes), IoStatus::ok);
  assert_int_equal(lun.write(512_KiB, 65536, std::byte{1}, Fua::yes), IoStatus::ok);
  assert_string_equal(lun.extents().c_str(),
                      "hole 64KiB data 64KiB hole 384KiB data 64KiB hole 448KiB ");
  assert_string_equal(lun.extents(2).c_str(), "hole 64KiB data 64KiB ");
}

void a_file_tells_what_its_file_system_has_left_and_what_it_takes_itself(void**) {
  const SmallMount mount{"tmpfs", "size=1m"};
  if (!mount.ok()) {
    skip();
  }
  Lun lun{file_config(mount.file("vol")), 4_MiB};
  assert_true(lun.backend->capabilities().room);
  const auto expect = [&lun](Bytes free, Bytes used) {
    const std::optional<Room> room = lun.lab.run(lun.backend->room());
    assert_true(room.has_value());
    assert_int_equal(room->free.value(), free.value());
    assert_int_equal(room->used.value(), used.value());
  };
  expect(1_MiB, 0_B);
  assert_int_equal(lun.write(512_KiB, 65536, std::byte{1}, Fua::yes), IoStatus::ok);
  expect(960_KiB, 64_KiB);
}

void a_file_system_without_an_end_tells_no_room(void**) {
  const SmallMount mount{"ramfs", ""};
  if (!mount.ok()) {
    skip();
  }
  Lun lun{file_config(mount.file("vol"), CacheMode::buffered), 1_MiB};
  assert_false(lun.lab.run(lun.backend->room()).has_value());
}

void a_block_device_zeroes_discards_and_knows_no_block_status(void**) {
  const LoopDevice device{1_MiB};
  if (device.path().empty()) {
    skip();
  }
  Lun lun{file_config(device.path(), CacheMode::direct), 1_MiB};
  for (const MayUnmap may_unmap : {MayUnmap::no, MayUnmap::yes}) {
    assert_int_equal(lun.write(0_B, 65536, std::byte{1}), IoStatus::ok);
    assert_int_equal(lun.lab.run(lun.backend->zero(512_B, 4096_B, may_unmap)), IoStatus::ok);
    assert_int_equal(lun.byte_at(0_B), std::byte{1});
    assert_int_equal(lun.byte_at(512_B), std::byte{0});
    assert_int_equal(lun.byte_at(4608_B), std::byte{1});
  }
  assert_int_equal(lun.lab.run(lun.backend->discard(0_B, 64_KiB)), IoStatus::ok);
  assert_string_equal(lun.extents().c_str(), "failed");
  assert_false(lun.backend->capabilities().room);
}

// --- alignment
// ------------------------------------------------------------------------------------

void write_and_read_bounced(Lun& lun) {
  std::mt19937_64 random{seed()};
  RandomList out{std::size_t{3} << 20, random, 1};
  out.fill(random);
  RandomList in{std::size_t{3} << 20, random, 1};
  assert_int_equal(lun.lab.run(lun.backend->write(512_B, out.view(), Fua::yes)), IoStatus::ok);
  assert_int_equal(lun.lab.run(lun.backend->read(512_B, in.view())), IoStatus::ok);
  assert_false(io::first_difference(out.view(), in.view()).has_value());
}

void misaligned_memory_longer_than_a_buffer_is_bounced_whole(void**) {
  const Folder folder;
  const FileConfig config = file_config(folder.file("vol"), CacheMode::direct);
  if (!check_file(config)) {
    skip();
  }
  Lun lun{config, 8_MiB};
  write_and_read_bounced(lun);
}

// Commands that hold the pool may wait for it to end.
void a_bounced_transfer_does_not_wait_for_the_pool(void**) {
  const Folder folder;
  const FileConfig config = file_config(folder.file("vol"), CacheMode::direct);
  if (!check_file(config)) {
    skip();
  }
  Lun lun{config, 8_MiB};
  io::BufferPool& pool = lun.lab.context(8_MiB, 512_B).buffers;
  const io::Buffer all = lun.lab.run(pool.acquire(io::BufferPool::largest));
  write_and_read_bounced(lun);
}

// `hold` waits for the whole pool, so it has it once a write of several pieces has written one.
co::Task<void> take_all(co::Executor&, io::BufferPool& pool, io::Buffer* hold) {
  *hold = co_await pool.acquire(io::BufferPool::largest, {});
}

void a_bounced_write_that_is_cancelled_after_a_piece_does_not_count_as_not_done(void**) {
  const Folder folder{"/var/tmp"};  // on tmpfs nothing waits
  const FileConfig config = file_config(folder.file("vol"), CacheMode::direct);
  if (!check_file(config)) {
    skip();
  }
  Lun lun{config, 8_MiB};
  std::mt19937_64 random{seed()};
  RandomList out{std::size_t{3} << 20, random, 1};
  const std::byte ones{0xFF};
  io::fill(out.view(), std::span{&ones, 1}, 0);
  io::BufferPool& pool = lun.lab.context(8_MiB, 512_B).buffers;
  co::CancelSource cancel;
  std::optional<IoStatus> status;
  co::TaskGroup group{lun.lab.executor()};
  group.spawn("write",
              Lab::store(lun.lab.executor(),
                         lun.backend->write(0_B, out.view(), Fua::no, cancel.token()), &status));
  io::Buffer hold;
  group.spawn("hold", take_all(lun.lab.executor(), pool, &hold));
  while (!hold) {
    lun.lab.step();
  }
  cancel.request();
  lun.lab.drain(group);
  hold.reset();
  assert_true(lun.byte_at(0_B) == ones);
  assert_true(lun.byte_at(2_MiB) == std::byte{});
  assert_int_equal(*status, IoStatus::medium_error);
}

// --- errors
// ---------------------------------------------------------------------------------------

std::atomic<unsigned> error_lines{0};
char last_error[512];

void keep_errors(LogLevel level, std::string_view line) {
  if (level == LogLevel::error) {
    ++error_lines;
    last_error[line.copy(last_error, sizeof last_error - 1)] = '\0';
  }
}

struct KeptErrors {
  KeptErrors() {
    error_lines = 0;
    set_log_sink(&keep_errors);
  }
  ~KeptErrors() { set_log_sink(nullptr); }
};

void a_file_cut_short_is_a_medium_error_and_one_line(void**) {
  const Folder folder;
  Lun lun{file_config(folder.file("vol")), 1_MiB};
  assert_int_equal(::truncate(folder.file("vol").c_str(), 4096), 0);
  const KeptErrors kept;
  std::vector<std::byte> bytes(8192);
  for (int i = 0; i < 50; ++i) {
    assert_int_equal(lun.read(0_B, bytes), IoStatus::medium_error);
  }
  assert_int_equal(error_lines, 1);
  assert_non_null(std::strstr(last_error, "vol: read of 8192 bytes at byte 0 failed: the file is"));
}

void a_full_file_system_is_no_space(void**) {
  const SmallMount mount{"tmpfs", "size=1m"};
  if (!mount.ok()) {
    skip();
  }
  Lun lun{file_config(mount.file("vol")), 4_MiB};
  const KeptErrors kept;
  assert_int_equal(lun.write(0_B, 512 << 10, std::byte{1}), IoStatus::ok);
  assert_int_equal(lun.write(1_MiB, 2 << 20, std::byte{1}), IoStatus::no_space);
  assert_int_equal(lun.byte_at(256_KiB), std::byte{1});
}

// A loop device over a file system that is full, to the last page: the device answers EIO. (Had it
// room for the first pages, the loop driver of some kernels would take the short write for all of
// it.)
struct FullDisk {
  FullDisk() : mount{"tmpfs", "size=1m"} {
    if (mount.ok()) {
      std::ofstream{mount.file("filler")} << std::string(1 << 20, 'x');
      const int fd = ::open(mount.file("disk").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
      if (fd >= 0 && ::ftruncate(fd, 4 << 20) == 0) {
        device = std::make_unique<LoopDevice>(fd);
      }
    }
  }
  bool ok() const { return device != nullptr && !device->path().empty(); }
  void make_room() { std::filesystem::remove(mount.file("filler")); }
  SmallMount mount;
  std::unique_ptr<LoopDevice> device;
};

void an_error_of_the_disk_is_a_medium_error_and_names_the_place(void**) {
  FullDisk disk;
  if (!disk.ok()) {
    skip();
  }
  Lun lun{file_config(disk.device->path(), CacheMode::direct), 4_MiB};
  const KeptErrors kept;
  const IoStatus status = lun.write(1_MiB, 1 << 20, std::byte{1});
  assert_true(status == IoStatus::medium_error || status == IoStatus::no_space);
  assert_non_null(std::strstr(last_error, ": write of 1048576 bytes at byte 1048576 failed: "));
}

void after_a_failed_flush_of_the_page_cache_all_flushes_fail_until_reopened(void**) {
  FullDisk disk;
  if (!disk.ok()) {
    skip();
  }
  const FileConfig config = file_config(disk.device->path());
  {
    Lun lun{config, 4_MiB};
    const KeptErrors kept;
    assert_int_equal(lun.write(1_MiB, 1 << 20, std::byte{1}), IoStatus::ok);
    assert_false(ok(lun.lab.run(lun.backend->flush())));
    disk.make_room();
    assert_false(ok(lun.lab.run(lun.backend->flush())));
    assert_false(ok(lun.write(0_B, 4096, std::byte{1}, Fua::yes)));
    assert_int_equal(lun.write(0_B, 4096, std::byte{1}), IoStatus::ok);
    // Leaves nothing dirty that could not be written: the next opening starts clean.
  }
  Lun again{config, 4_MiB};
  assert_int_equal(again.write(0_B, 4096, std::byte{1}), IoStatus::ok);
  assert_int_equal(again.lab.run(again.backend->flush()), IoStatus::ok);
}

// --- resize, close
// --------------------------------------------------------------------------------

void resize_lengthens_the_file_and_never_shortens_it(void**) {
  const Folder folder;
  Lun lun{file_config(folder.file("vol")), 1_MiB};
  assert_int_equal(lun.lab.run(lun.backend->resize(2_MiB)), IoStatus::ok);
  assert_int_equal(std::filesystem::file_size(folder.file("vol")), 2 << 20);
  assert_int_equal(lun.write(1_MiB, 1 << 20, std::byte{1}), IoStatus::ok);
  assert_int_equal(lun.lab.run(lun.backend->resize(1_MiB)), IoStatus::ok);
  assert_true(lun.backend->geometry().size == 1_MiB);
  assert_int_equal(std::filesystem::file_size(folder.file("vol")), 2 << 20);
}

void a_block_device_cannot_be_resized_beyond_its_size(void**) {
  const LoopDevice device{2_MiB};
  if (device.path().empty()) {
    skip();
  }
  Lun lun{file_config(device.path()), 1_MiB};
  const KeptErrors kept;
  assert_int_equal(lun.lab.run(lun.backend->resize(2_MiB)), IoStatus::ok);
  assert_int_equal(lun.lab.run(lun.backend->resize(4_MiB)), IoStatus::out_of_range);
  assert_true(lun.backend->geometry().size == 2_MiB);
}

void a_hundred_discards_at_once_wait_for_each_other(void**) {
  const LoopDevice device{4_MiB};
  if (device.path().empty()) {
    skip();
  }
  Lun lun{file_config(device.path(), CacheMode::direct), 4_MiB};
  co::TaskGroup group{lun.lab.executor()};
  std::array<std::optional<IoStatus>, 100> results;
  for (std::size_t i = 0; i < results.size(); ++i) {
    group.spawn("discard", Lab::store(lun.lab.executor(),
                                      lun.backend->discard(Bytes{i * 4096}, 4_KiB), &results[i]));
  }
  lun.lab.drain(group);
  for (const std::optional<IoStatus>& result : results) {
    assert_true(result == IoStatus::ok);
  }
}

// A file at once. The kernel lets go of a block device that was registered with a ring a moment
// after the last descriptor is closed, and until then O_EXCL refuses it.
void a_closed_volume_can_be_opened_again_soon(void**) {
  const Folder folder;
  const LoopDevice device{1_MiB};
  for (const std::string& path : {folder.file("vol"), device.path()}) {
    for (int i = 0; i < 20 && !path.empty(); ++i) {
      Lun lun{file_config(path), 1_MiB};
      assert_int_equal(lun.write(0_B, 4096, std::byte{1}), IoStatus::ok);
      lun.close();
      Result<void> free = check_file(file_config(path));
      for (int look = 0; look < 1000 && !free && path == device.path(); ++look) {
        std::this_thread::sleep_for(std::chrono::milliseconds{10});
        free = check_file(file_config(path));
      }
      assert_string_equal(free ? "free" : free.error().message.c_str(), "free");
    }
  }
}

struct Writer {
  std::vector<std::byte> bytes = std::vector<std::byte>(256 << 10, std::byte{7});
  std::optional<IoStatus> status;
};

co::Task<void> write_into(Backend* backend, Bytes offset, Writer* writer) {
  const Flat flat{writer->bytes};
  const IoStatus written = co_await backend->write(offset, flat.view(), Fua::no);
  writer->status = written;
}

co::Task<void> close_and_count(Backend* backend, std::array<Writer, 64>* writers,
                               std::size_t* ended) {
  co_await backend->close();
  for (const Writer& writer : *writers) {
    *ended += writer.status.has_value() ? 1U : 0U;
  }
}

// Without `checked` around it, which would wait too.
void close_waits_for_what_runs(void**) {
  const Folder folder;
  Lab lab;
  const FileConfig direct = file_config(folder.file("vol"), CacheMode::direct);
  const FileConfig config = check_file(direct) ? direct : file_config(folder.file("vol"));
  std::unique_ptr<Backend> backend = make_file(open_file(config, 64_MiB, 4096_B).value(),
                                               config.path, lab.context(64_MiB, 4096_B));
  std::array<Writer, 64> writers;
  co::TaskGroup group{lab.executor()};
  for (std::size_t i = 0; i < writers.size(); ++i) {
    group.spawn("writer", write_into(backend.get(), Bytes{i << 20}, &writers[i]));
  }
  std::size_t ended = 0;
  group.spawn("close", close_and_count(backend.get(), &writers, &ended));
  lab.drain(group);
  backend.reset();
  assert_int_equal(ended, writers.size());
  for (const Writer& writer : writers) {
    assert_true(*writer.status == IoStatus::ok || *writer.status == IoStatus::cancelled);
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(zeroing_with_unmap_gives_the_space_back),
      cmocka_unit_test(zeroing_without_unmap_keeps_or_takes_the_space),
      cmocka_unit_test(discard_gives_the_space_back_and_reads_zeros),
      cmocka_unit_test(a_file_system_without_zero_range_says_not_supported_and_changes_nothing),
      cmocka_unit_test(block_status_tells_data_from_holes),
      cmocka_unit_test(a_file_tells_what_its_file_system_has_left_and_what_it_takes_itself),
      cmocka_unit_test(a_file_system_without_an_end_tells_no_room),
      cmocka_unit_test(a_block_device_zeroes_discards_and_knows_no_block_status),
      cmocka_unit_test(misaligned_memory_longer_than_a_buffer_is_bounced_whole),
      cmocka_unit_test(a_bounced_transfer_does_not_wait_for_the_pool),
      cmocka_unit_test(a_bounced_write_that_is_cancelled_after_a_piece_does_not_count_as_not_done),
      cmocka_unit_test(a_file_cut_short_is_a_medium_error_and_one_line),
      cmocka_unit_test(a_full_file_system_is_no_space),
      cmocka_unit_test(an_error_of_the_disk_is_a_medium_error_and_names_the_place),
      cmocka_unit_test(after_a_failed_flush_of_the_page_cache_all_flushes_fail_until_reopened),
      cmocka_unit_test(resize_lengthens_the_file_and_never_shortens_it),
      cmocka_unit_test(a_block_device_cannot_be_resized_beyond_its_size),
      cmocka_unit_test(a_hundred_discards_at_once_wait_for_each_other),
      cmocka_unit_test(a_closed_volume_can_be_opened_again_soon),
      cmocka_unit_test(close_waits_for_what_runs),
  };
  return cmocka_run_group_tests_name("file", tests, nullptr, nullptr);
}
