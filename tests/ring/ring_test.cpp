// SPDX-License-Identifier: Apache-2.0
// The shipped plugin, through the daemon's interface.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <thread>
#include <utility>

#include "tests/cmocka.h"
#include "tests/ring/assert_has.h"
#include "tests/ring/support.h"

using namespace ballast::ring_test;
namespace abi = ballast::handler::abi;

namespace {

constexpr std::size_t kib = 1024;

std::vector<std::byte> pattern(std::size_t size, unsigned start) {
  std::vector<std::byte> bytes(size);
  for (std::size_t i = 0; i < size; ++i) {
    bytes[i] = static_cast<std::byte>((start + i * 7 + i / 512) & 0xff);
  }
  return bytes;
}

void assert_sense(const Answer& answer, unsigned key, unsigned additional) {
  assert_int_equal(answer.status, 0x02);
  assert_int_equal(answer.sense_key(), key);
  assert_int_equal(answer.additional_sense(), additional);
}

void a_command_in_an_answer_out(void**) {
  const auto lun = Lun::add("null");
  assert_non_null(lun.get());
  const Answer answer = lun->execute(test_unit_ready());
  assert_int_equal(answer.status, 0);
  assert_int_equal(lun->stats().doorbells, 1);
}

void commands_that_wait_together_share_a_doorbell(void**) {
  const auto lun = Lun::add("null");
  assert_non_null(lun.get());
  Countdown answers{32};
  std::vector<std::byte> data(4 * kib);
  for (unsigned i = 0; i < 32; ++i) {
    assert_true(lun->queue(read_16(i * 8, 8), Direction::from_device, data, answers.done()));
  }
  lun->raise();
  assert_true(answers.wait());
  assert_int_equal(answers.good(), 32);
  // More than one: the thread of a new LUN looks into the ring before it waits for an event, and
  // may find some of them there, each time that it is quicker than this thread.
  assert_true(lun->stats().doorbells <= 16);
  assert_int_equal(lun->stats().empty_doorbells, 0);
}

void a_long_queue_is_not_held_back_to_its_end(void**) {
  const auto lun = Lun::add("null");
  Countdown answers{300};
  for (unsigned i = 0; i < 300; ++i) {
    assert_true(lun->queue(test_unit_ready(), Direction::none, {}, answers.done()));
  }
  lun->raise();
  assert_true(answers.wait());
  assert_true(lun->stats().largest_batch <= 64);
}

void what_is_written_is_read(void**) {
  const auto lun = Lun::add("memory");
  assert_non_null(lun.get());
  for (const std::size_t size : {std::size_t{512}, 4 * kib, 64 * kib + 512, 1024 * kib}) {
    const auto blocks = static_cast<std::uint32_t>(size / 512);
    std::vector<std::byte> out = pattern(size, static_cast<unsigned>(size));
    std::vector<std::byte> in(size);
    assert_int_equal(lun->execute(write_16(77, blocks), Direction::to_device, out).status, 0);
    assert_int_equal(lun->execute(read_16(77, blocks), Direction::from_device, in).status, 0);
    assert_memory_equal(in.data(), out.data(), size);
  }
  assert_true(lun->segments_of_last_command() > 1);
}

// Long enough for the thread that reads the ring to learn that watching it pays.
void one_command_after_the_other_while_the_ring_is_watched(void**) {
  const auto lun = Lun::add("memory");
  std::vector<std::byte> in(512);
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds{700};
  for (unsigned i = 0; std::chrono::steady_clock::now() < end; ++i) {
    std::vector<std::byte> out = pattern(512, i);
    assert_int_equal(lun->execute(write_16(i % 64, 1), Direction::to_device, out).status, 0);
    assert_int_equal(lun->execute(read_16(i % 64, 1), Direction::from_device, in).status, 0);
    assert_true(in == out);
    if (i % 1000 == 0) {
      std::this_thread::sleep_for(std::chrono::milliseconds{5});  // longer than it is watched
    }
  }
  assert_true(lun->remove());
}

void load_on(const std::string& config, const LunOptions& options, std::uint64_t commands) {
  const std::uint64_t run_seed = seed();
  const auto lun = Lun::add(config, options);
  assert_non_null(lun.get());
  const LoadResult result = random_load(*lun, commands, 32, options.block_size, run_seed);
  assert_int_equal(result.commands, commands);
  if (result.failed > 0) {
    std::fprintf(stderr, "first failure: status %02x sense %x/%04x\n", result.first_failure.status,
                 result.first_failure.sense_key(), result.first_failure.additional_sense());
  }
  assert_int_equal(result.failed, 0);
  assert_int_equal(result.mismatches, 0);
  assert_true(lun->remove());
}

void a_mixed_load_on_memory(void**) {
  load_on("memory", {}, 20000);
}

void a_mixed_load_on_a_small_ring_full_of_pads(void**) {
  LunOptions options;
  options.ring_bytes = 48 * kib;
  load_on("memory", options, 20000);
}

void a_mixed_load_with_blocks_of_4096(void**) {
  LunOptions options;
  options.block_size = 4096;
  load_on("memory", options, 5000);
}

void a_mixed_load_on_tmpfs(void**) {
  const Folder folder{"/dev/shm"};
  load_on(folder.file("vol.raw"), {}, 10000);
}

void a_mixed_load_on_disk(void**) {
  if (!has_direct_io("/var/tmp")) {
    skip();
  }
  const Folder folder{"/var/tmp"};
  load_on(folder.file("vol.raw"), {}, 3000);
}

void a_mixed_load_with_the_page_cache(void**) {
  const Folder folder{"/dev/shm"};
  load_on(folder.file("vol.raw") + ";cache=buffered", {}, 10000);
}

void contents_survive_remove_and_add(void**) {
  const Folder folder{"/dev/shm"};
  std::vector<std::byte> out = pattern(64 * kib, 3);
  std::vector<std::byte> in(out.size());
  {
    const auto lun = Lun::add(folder.file("vol.raw"));
    assert_int_equal(lun->execute(write_16(1000, 128), Direction::to_device, out).status, 0);
    assert_true(lun->remove());
  }
  const auto lun = Lun::add(folder.file("vol.raw"));
  assert_int_equal(lun->execute(read_16(1000, 128), Direction::from_device, in).status, 0);
  assert_memory_equal(in.data(), out.data(), out.size());
}

void a_late_answer_does_not_hold_back_the_others(void**) {
  const Folder folder{"/dev/shm"};
  std::ofstream{folder.file("faults")} << "read freeze lba=0-7\n";
  const auto lun = Lun::add("memory;fault=" + folder.file("faults"));
  assert_non_null(lun.get());
  std::vector<std::byte> held(4 * kib);
  Countdown first{1};
  assert_true(lun->submit(read_16(0, 8), Direction::from_device, held, first.done()));
  std::vector<std::byte> data = pattern(4 * kib, 1);
  for (unsigned i = 1; i <= 100; ++i) {
    assert_int_equal(lun->execute(write_16(i * 8, 8), Direction::to_device, data).status, 0);
  }
  assert_int_equal(lun->outstanding(), 1);
  std::ofstream{folder.file("faults")} << "thaw\n";
  assert_true(first.wait());
  assert_int_equal(first.good(), 1);
}

void removing_under_load_answers_everything(void**) {
  const Folder folder{"/dev/shm"};
  const auto lun = Lun::add(folder.file("vol.raw"));
  Countdown answers{200};
  std::vector<std::byte> data = pattern(64 * kib, 9);
  for (unsigned i = 0; i < 200; ++i) {
    assert_true(lun->queue(write_16(i * 128, 128), Direction::to_device, data, answers.done()));
  }
  lun->raise();
  // The cmdproc thread takes what it can before it is cancelled; the rest stays in the ring, as it
  // would for the daemon. What was taken must be answered when remove() returns.
  const bool all = lun->remove();
  const HostStats stats = lun->stats();
  assert_int_equal(stats.answers, 200 - lun->outstanding());
  assert_true(all || stats.answers < 200);
  if (answers.bad() > 0) {  // a busy machine did not carry them out in the time that it has
    assert_int_equal(answers.last_bad().status, 0x08);
  }
}

// Reads the disk again and again until it is told to stop.
struct Reader {
  Lun* lun = nullptr;
  std::uint64_t lba = 0;
  std::atomic<bool>* stop = nullptr;
  std::vector<std::byte> data = std::vector<std::byte>(4 * kib);
  void next() {
    lba = (lba + 8 * 37) % ((48 << 20) / 512);
    (void)lun->submit(read_16(lba, 8), Direction::from_device, data, {&Reader::answered, this});
  }
  static void answered(void* self, const Answer&) {
    Reader& reader = *static_cast<Reader*>(self);
    if (!reader.stop->load()) {
      reader.next();
    }
  }
};

void the_cmdproc_thread_can_be_cancelled_while_it_lingers(void**) {
  if (!has_direct_io("/var/tmp")) {
    skip();
  }
  const Folder folder{"/var/tmp"};
  // A file with blocks, so that reads go to the disk, which is what the thread lingers for.
  std::ofstream{folder.file("vol.raw")} << std::string(48 << 20, 'x');
  std::filesystem::resize_file(folder.file("vol.raw"), 64 << 20);
  for (int round = 0; round < 10; ++round) {
    const auto lun = Lun::add(folder.file("vol.raw"));
    assert_non_null(lun.get());
    std::atomic<bool> stop{false};
    std::vector<Reader> readers(8);
    for (Reader& reader : readers) {
      reader.lun = lun.get();
      reader.lba = static_cast<std::uint64_t>(&reader - readers.data()) * 800;
      reader.stop = &stop;
      reader.next();
    }
    while (lun->stats().answers < 50) {
      std::this_thread::sleep_for(std::chrono::microseconds{100});
    }
    // As the kernel does before the daemon removes a device: nothing new comes. What is under way
    // is what the thread lingers for.
    stop = true;
    const bool all = lun->remove();
    assert_true(all || lun->outstanding() <= readers.size());
  }
}

void a_frozen_backend_does_not_keep_a_lun_from_being_removed(void**) {
  const Folder folder{"/dev/shm"};
  std::ofstream{folder.file("faults")} << "all freeze\n";
  // Four at the backend, the others at the door.
  const auto lun = Lun::add("memory;queue_depth=4;fault=" + folder.file("faults"));
  std::vector<std::byte> data(4 * kib);
  Countdown answers{40};
  for (unsigned i = 0; i < 40; ++i) {
    assert_true(lun->submit(write_16(i * 8, 8), Direction::to_device, data, answers.done()));
  }
  // The answer shows that all of them were taken over.
  assert_int_equal(lun->execute(test_unit_ready()).status, 0);
  assert_true(lun->remove());
  assert_true(answers.wait());
  assert_int_equal(answers.bad(), 40);
}

void what_cannot_be_opened_is_refused_with_a_reason(void**) {
  (void)take_log();
  assert_null(Lun::add("/nonexistent/folder/vol.raw").get());
  const std::string log = take_log();
  assert_non_null(std::strstr(log.c_str(), "/nonexistent/folder"));
  assert_non_null(std::strstr(log.c_str(), "error: "));
}

void a_lun_that_cannot_be_opened_hurts_no_other(void**) {
  const auto good = Lun::add("memory");
  assert_null(Lun::add("/nonexistent/folder/vol.raw").get());
  assert_int_equal(good->execute(test_unit_ready()).status, 0);
  const auto second = Lun::add("memory");
  assert_int_equal(second->execute(test_unit_ready()).status, 0);
}

void one_file_has_one_owner(void**) {
  const Folder folder{"/dev/shm"};
  auto first = Lun::add(folder.file("vol.raw"));
  assert_non_null(first.get());
  // Somebody who makes a second LUN wants to know; one that a starting daemon finds waits.
  assert_null(Lun::add(folder.file("vol.raw")).get());
  LunOptions found;
  found.at_start = true;
  const auto second = Lun::add(folder.file("vol.raw"), found);
  assert_non_null(second.get());
  assert_true(second->execute(test_unit_ready()).becoming_ready());
  assert_int_not_equal(second->reconfigure_size(1 << 20), 0);
  const auto third = Lun::add(folder.file("vol.raw"), found);
  assert_true(third->remove());
  assert_int_equal(first->execute(test_unit_ready()).status, 0);
  assert_true(first->remove());
  assert_true(eventually([&] { return second->execute(test_unit_ready()).status == 0; }));
}

void expect_refused(const LunOptions& options, const char* why) {
  (void)take_log();
  assert_null(Lun::add("memory", options).get());
  assert_has(take_log(), why);
}

void sizes_that_no_disk_has_are_refused(void**) {
  LunOptions options;
  options.size = 0;
  expect_refused(options, "a size of 0 blocks of 512 bytes is not possible");
  options.size = std::uint64_t{9} << 60;
  expect_refused(options, "give one block at least and 8 EiB at most");
}

void block_sizes_that_no_disk_has_are_refused(void**) {
  LunOptions options;
  options.block_size = 256;
  expect_refused(options, "hw_block_size is 256; it must be 512, 1024, 2048 or 4096");
  options.block_size = 520;
  expect_refused(options, "hw_block_size is 520");
  options.block_size = 8192;
  expect_refused(options, "hw_block_size is 8192");
}

void an_old_kernel_is_enough_and_what_it_lacks_is_logged(void**) {
  LunOptions options;
  options.flags = 0;
  (void)take_log();
  const auto lun = Lun::add("memory", options);
  assert_non_null(lun.get());
  std::vector<std::byte> page(255);
  assert_int_equal(lun->execute(inquiry(255), Direction::from_device, page).status, 0);
  const std::string log = take_log();
  assert_non_null(std::strstr(log.c_str(), "the kernel's command ring supports: none"));
  assert_non_null(std::strstr(log.c_str(), "the kernel does not tell Ballast about ABORT TASK"));
}

void good_strings_are_accepted_with_and_without_colon(void**) {
  const Folder folder{"/dev/shm"};
  const std::string path = folder.file("vol.raw");
  for (const std::string& text :
       {path, "file=" + path, "file:" + path, path + ";cache=buffered", std::string{"memory"},
        std::string{"memory:"}, std::string{"null"}, std::string{"null:;queue_depth=32"},
        std::string{"null;write_same_max=64KiB"}}) {
    assert_string_equal(check_config("ballast/" + text).c_str(), "");
  }
}

void bad_strings_get_a_sentence(void**) {
  struct Case {
    const char* config;
    const char* says;
  };
  const Case cases[] = {
      {"", ""},
      {"nowhere:/x", "nowhere"},
      {"/nonexistent/folder/vol.raw", "/nonexistent/folder"},
      {"/dev/shm/x;colour=red", "colour"},
      {"null;queue_depth=lots", "lots"},
      {"null;tcmur_cmd_time_out=5", "tcmur_cmd_time_out"},
  };
  for (const Case& one : cases) {
    const std::string reason = check_config(std::string{"ballast/"} + one.config);
    assert_string_not_equal(reason.c_str(), "");
    assert_non_null(std::strstr(reason.c_str(), one.says));
    assert_null(std::strchr(reason.c_str(), '\n'));
  }
}

void growing_is_noticed_and_usable(void**) {
  const Folder folder{"/dev/shm"};
  const auto lun = Lun::add(folder.file("vol.raw"));
  std::vector<std::byte> data = pattern(4 * kib, 5);
  const std::uint64_t end = (std::uint64_t{64} << 20) / 512;
  assert_sense(lun->execute(write_16(end, 8), Direction::to_device, data), 0x5, 0x2100);
  assert_int_equal(lun->reconfigure_size(std::uint64_t{96} << 20), 0);
  assert_sense(lun->execute(test_unit_ready()), 0x6, 0x2a09);
  assert_int_equal(lun->execute(test_unit_ready()).status, 0);
  assert_int_equal(lun->execute(write_16(end, 8), Direction::to_device, data).status, 0);
  struct stat info {};
  assert_int_equal(::stat(folder.file("vol.raw").c_str(), &info), 0);
  assert_int_equal(info.st_size, 96 << 20);
}

void shrinking_takes_blocks_away(void**) {
  const auto lun = Lun::add("memory");
  std::vector<std::byte> data(4 * kib);
  assert_int_equal(lun->execute(test_unit_ready()).status, 0);
  assert_int_equal(lun->reconfigure_size(std::uint64_t{32} << 20), 0);
  assert_sense(lun->execute(test_unit_ready()), 0x6, 0x2a09);
  assert_sense(lun->execute(read_16((32 << 20) / 512, 8), Direction::from_device, data), 0x5,
               0x2100);
}

void a_size_between_blocks_is_refused(void**) {
  const auto lun = Lun::add("memory");
  assert_true(lun->reconfigure_size((std::uint64_t{32} << 20) + 100) < 0);
}

void the_configuration_string_stays_what_it_is(void**) {
  const auto lun = Lun::add("memory");
  assert_int_equal(lun->reconfigure_string("memory:"), 0);
  assert_true(lun->reconfigure_string("null") < 0);
  assert_true(lun->reconfigure_string("memory;tcmur_cmd_time_out=3") < 0);
  assert_int_equal(lun->reconfigure_write_cache(true), 0);
}

void short_data_in_leaves_a_residual(void**) {
  const auto lun = Lun::add("memory");
  std::vector<std::byte> data(4 * kib, std::byte{0xee});
  const Answer answer = lun->execute(inquiry(4 * kib), Direction::from_device, data);
  assert_int_equal(answer.status, 0);
  assert_in_range(answer.transferred, 36, 255);
  assert_int_equal(data[0], 0);
  assert_int_equal(static_cast<int>(data[answer.transferred]), 0xee);
}

// A LUN in whose buffers of the kernel lies what somebody has written.
std::unique_ptr<Lun> lun_with_secrets(std::uint16_t flags) {
  LunOptions options;
  options.flags = flags;
  options.data_pages = 4;
  auto lun = Lun::add("memory", options);
  std::vector<std::byte> secret(16 * kib, std::byte{0x5a});
  assert_int_equal(lun->execute(write_16(0, 32), Direction::to_device, secret).status, 0);
  return lun;
}

void without_short_reads_the_rest_is_zero_and_nothing_old(void**) {
  const auto lun = lun_with_secrets(abi::TCMU_MAILBOX_FLAG_CAP_OOOC);
  std::vector<std::byte> data(4 * kib, std::byte{0xee});
  const Answer answer = lun->execute(inquiry(4 * kib), Direction::from_device, data);
  assert_int_equal(answer.transferred, 4 * kib);
  for (std::size_t i = 255; i < data.size(); ++i) {
    assert_int_equal(static_cast<int>(data[i]), 0);
  }
}

// The kernel takes a READ_LEN of 0 for none, and hands out the whole buffer.
void no_data_in_at_all_is_zero_and_nothing_old(void**) {
  const auto lun = lun_with_secrets(LunOptions{}.flags);
  std::vector<std::byte> data(4 * kib, std::byte{0xee});
  const Answer answer = lun->execute(inquiry(0), Direction::from_device, data);
  assert_int_equal(answer.status, 0);
  assert_true(std::ranges::all_of(data, [](std::byte b) { return b == std::byte{}; }));
}

void the_unit_serial_comes_from_configfs(void**) {
  const auto lun = Lun::add("memory");
  std::vector<std::byte> data(255);
  const Answer answer = lun->execute(inquiry_page(0x80, 255), Direction::from_device, data);
  assert_int_equal(answer.status, 0);
  const std::string text(reinterpret_cast<const char*>(data.data() + 4), answer.transferred - 4);
  assert_non_null(std::strstr(text.c_str(), LunOptions{}.unit_serial));
}

void two_luns_with_one_name_are_warned_of(void**) {
  const auto first = Lun::add("memory");
  assert_int_equal(first->execute(test_unit_ready()).status, 0);
  (void)take_log();
  LunOptions options;
  options.unit_serial = "vol-x";
  const auto other = Lun::add("memory", options);
  assert_int_equal(other->execute(test_unit_ready()).status, 0);
  assert_null(std::strstr(take_log().c_str(), "multipath takes"));
  const auto second = Lun::add("memory");
  assert_int_equal(second->execute(test_unit_ready()).status, 0);
  assert_non_null(std::strstr(take_log().c_str(), "multipath takes the two for one disk"));
}

void a_megabyte_is_offered_unless_somebody_asks_for_something_else(void**) {
  struct Case {
    std::uint32_t hw_max_sectors, offered, taken;
  };
  for (const Case& wanted : {Case{128, 2048, 16384}, Case{0, 2048, 16384}, Case{256, 256, 256},
                             Case{100000, 16384, 16384}}) {
    LunOptions options;
    options.max_transfer_blocks = wanted.hw_max_sectors;
    const auto lun = Lun::add("memory", options);
    std::vector<std::byte> page(64);
    assert_int_equal(lun->execute(inquiry_page(0xb0, 64), Direction::from_device, page).status, 0);
    const unsigned offered = static_cast<unsigned>(page[10]) << 8 | static_cast<unsigned>(page[11]);
    assert_int_equal(offered, wanted.offered);
    std::vector<std::byte> data(std::size_t{wanted.taken + 1} * 512);
    const std::span<std::byte> fits = std::span{data}.first(std::size_t{wanted.taken} * 512);
    const Answer good = lun->execute(read_16(0, wanted.taken), Direction::from_device, fits);
    assert_int_equal(good.status, 0);
    assert_int_equal(good.transferred, fits.size());
    assert_int_not_equal(
        lun->execute(read_16(0, wanted.taken + 1), Direction::from_device, data).status, 0);
  }
}

void a_lun_without_serial_works_and_says_so(void**) {
  LunOptions options;
  options.unit_serial = nullptr;
  (void)take_log();
  const auto lun = Lun::add("memory", options);
  assert_int_equal(lun->execute(test_unit_ready()).status, 0);
  assert_non_null(std::strstr(take_log().c_str(), "unit serial"));
}

void commands_the_daemon_throws_away_are_answered(void**) {
  const auto lun = Lun::add("memory");
  Countdown answers{4};
  const Cdb vendor{0xc1, 0, 0, 0, 0, 0};
  const Cdb reserved{0x6a, 0, 0, 0, 0, 0};
  for (const Cdb& cdb : {test_unit_ready(), vendor, reserved, test_unit_ready()}) {
    assert_true(lun->queue(cdb, Direction::none, {}, answers.done()));
  }
  lun->raise();
  assert_true(answers.wait());
  assert_int_equal(answers.good(), 2);
  assert_sense(answers.last_bad(), 0x5, 0x2000);
  // And the ring is still in step.
  assert_int_equal(lun->execute(test_unit_ready()).status, 0);
}

void a_thrown_away_command_with_nothing_behind_it_is_answered(void**) {
  const auto lun = Lun::add("memory");
  assert_int_equal(lun->execute(test_unit_ready()).status, 0);
  Countdown answers{1};
  assert_true(lun->submit(Cdb{0xc1, 0, 0, 0, 0, 0}, Direction::none, {}, answers.done()));
  lun->queue_task_management();
  assert_true(answers.wait());
  assert_sense(answers.last_bad(), 0x5, 0x2000);
  assert_int_equal(lun->execute(test_unit_ready()).status, 0);
  // What the daemon waits for before it stops.
  assert_true(lun->ring_is_empty());
}

void a_thrown_away_command_has_its_sense_data_in_descriptors_if_d_sense_is_set(void**) {
  const auto lun = Lun::add("memory");
  std::vector<std::byte> list(4 + 12);
  list[4] = std::byte{0x0a};
  list[5] = std::byte{10};
  list[6] = std::byte{0x04};  // D_SENSE
  list[7] = std::byte{0x10};  // as MODE SENSE has it: unrestricted reordering
  list[9] = std::byte{0x40};  // TAS
  assert_int_equal(mode_select(*lun, list).status, 0);
  Countdown answers{1};
  assert_true(lun->submit(Cdb{0xc1, 0, 0, 0, 0, 0}, Direction::none, {}, answers.done()));
  lun->queue_task_management();
  assert_true(answers.wait());
  const Answer answer = answers.last_bad();
  assert_int_equal(answer.sense[0], 0x72);
  assert_int_equal(answer.sense[1], 0x05);
  assert_int_equal(answer.sense[2], 0x20);
}

void task_management_notices_are_passed_over(void**) {
  const auto lun = Lun::add("memory");
  Countdown answers{2};
  assert_true(lun->queue(test_unit_ready(), Direction::none, {}, answers.done()));
  lun->queue_task_management();
  assert_true(lun->queue(test_unit_ready(), Direction::none, {}, answers.done()));
  lun->raise();
  assert_true(answers.wait());
  assert_int_equal(answers.good(), 2);
  assert_int_equal(lun->execute(test_unit_ready()).status, 0);
}

void commands_that_the_daemon_tracks_are_refused(void**) {
  LunOptions options;
  options.command_timeout = 5;
  (void)take_log();
  const auto lun = Lun::add("memory", options);
  assert_sense(lun->execute(test_unit_ready()), 0x4, 0x4400);
  assert_sense(lun->execute(test_unit_ready()), 0x4, 0x4400);
  assert_non_null(std::strstr(take_log().c_str(), "tcmur_cmd_time_out"));
}

using Opcode = std::pair<unsigned, unsigned>;  // and service action

bool has_service_action(unsigned opcode) {
  return opcode == 0x83 || opcode == 0x84 || opcode == 0x9e || opcode == 0xa3;
}

// By REPORT SUPPORTED OPERATION CODES, but for what the kernel answers itself.
std::set<Opcode> reported(Lun& lun) {
  const std::set<unsigned> by_kernel{0x16, 0x17, 0x56, 0x57, 0x5e, 0x5f, 0xa0};
  std::vector<std::byte> data(4096);
  const Answer answer =
      lun.execute(Cdb{0xa3, 0x0c, 0, 0, 0, 0, 0, 0, 0x10, 0, 0, 0}, Direction::from_device, data);
  assert_int_equal(answer.status, 0);
  std::set<Opcode> all;
  for (std::size_t at = 4; at + 8 <= answer.transferred; at += 8) {
    const auto opcode = static_cast<unsigned>(data[at]);
    if (!by_kernel.contains(opcode)) {
      all.emplace(opcode, static_cast<unsigned>(data[at + 3]));
    }
  }
  return all;
}

void every_operation_has_a_way_through(void**) {
  const Folder folder{"/dev/shm"};
  const auto lun = Lun::add(folder.file("vol.raw"));
  std::vector<std::byte> block = pattern(512, 1);
  std::vector<std::byte> pair(1024);
  std::memcpy(pair.data(), block.data(), 512);
  std::memcpy(pair.data() + 512, block.data(), 512);
  std::vector<std::byte> unmap(24);
  unmap[1] = std::byte{22};
  unmap[3] = std::byte{16};
  unmap[11] = std::byte{64};
  unmap[15] = std::byte{8};
  std::vector<std::byte> in(512);
  assert_int_equal(lun->execute(inquiry_page(0x83, 512), Direction::from_device, in).status, 0);
  std::vector<std::byte> copy = copy_list(in, 0, 9, 1);
  std::vector<std::byte> mode = caching_page(*lun);
  assert_false(mode.empty());
  // The same with the longer header of MODE SELECT (10).
  std::vector<std::byte> mode_10(mode.size() + 4);
  mode_10[7] = mode[3];
  std::copy(mode.begin() + 4, mode.end(), mode_10.begin() + 8);

  constexpr auto none = Direction::none;
  constexpr auto read = Direction::from_device;
  constexpr auto write = Direction::to_device;
  struct Step {
    const char* name;
    Cdb cdb;
    Direction direction;
    std::vector<std::byte>* data;
  };
  const auto mode_length = static_cast<unsigned>(mode.size());
  const auto mode_10_length = static_cast<unsigned>(mode_10.size());
  const Step steps[] = {
      {"TEST UNIT READY", test_unit_ready(), none, nullptr},
      {"REQUEST SENSE", {0x03, 0, 0, 0, 252, 0}, read, &in},
      {"INQUIRY", inquiry(512), read, &in},
      {"INQUIRY 00", inquiry_page(0x00, 512), read, &in},
      {"INQUIRY 80", inquiry_page(0x80, 512), read, &in},
      {"INQUIRY 83", inquiry_page(0x83, 512), read, &in},
      {"INQUIRY B0", inquiry_page(0xb0, 512), read, &in},
      {"INQUIRY B1", inquiry_page(0xb1, 512), read, &in},
      {"INQUIRY B2", inquiry_page(0xb2, 512), read, &in},
      {"READ CAPACITY (10)", {0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0}, read, &in},
      {"READ CAPACITY (16)", cdb_16(0x9e, 0, 512, 0x10), read, &in},
      {"MODE SENSE (6)", {0x1a, 0, 0x3f, 0, 255, 0}, read, &in},
      {"MODE SENSE (10)", {0x5a, 0, 0x3f, 0, 0, 0, 0, 2, 0, 0}, read, &in},
      {"MODE SELECT (6)", {0x15, 0x10, 0, 0, mode_length, 0}, write, &mode},
      {"MODE SELECT (10)", {0x55, 0x10, 0, 0, 0, 0, 0, 0, mode_10_length, 0}, write, &mode_10},
      {"LOG SENSE", {0x4d, 0, 0x40 | 0x19, 0, 0, 0, 0, 2, 0, 0}, read, &in},
      {"READ DEFECT DATA (10)", {0x37, 0, 0x0c, 0, 0, 0, 0, 2, 0, 0}, read, &in},
      {"READ DEFECT DATA (12)", {0xb7, 0x0c, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0}, read, &in},
      {"WRITE (6)", {0x0a, 0, 0, 1, 1, 0}, write, &block},
      {"READ (6)", {0x08, 0, 0, 1, 1, 0}, read, &in},
      {"WRITE (10)", cdb_10(0x2a, 2, 1), write, &block},
      {"WRITE (10) FUA", cdb_10(0x2a, 2, 1, 0x08), write, &block},
      {"READ (10)", cdb_10(0x28, 2, 1), read, &in},
      {"WRITE (12)", {0xaa, 0, 0, 0, 0, 3, 0, 0, 0, 1, 0, 0}, write, &block},
      {"READ (12)", {0xa8, 0, 0, 0, 0, 3, 0, 0, 0, 1, 0, 0}, read, &in},
      {"WRITE (16)", write_16(4, 1), write, &block},
      {"READ (16)", read_16(4, 1), read, &in},
      {"WRITE AND VERIFY (10)", cdb_10(0x2e, 5, 1), write, &block},
      {"WRITE AND VERIFY (12)", {0xae, 0, 0, 0, 0, 5, 0, 0, 0, 1, 0, 0}, write, &block},
      {"WRITE AND VERIFY (16)", cdb_16(0x8e, 5, 1), write, &block},
      {"VERIFY (10)", cdb_10(0x2f, 5, 1), none, nullptr},
      {"VERIFY (12)", {0xaf, 0, 0, 0, 0, 5, 0, 0, 0, 1, 0, 0}, none, nullptr},
      {"VERIFY (10) BYTCHK", cdb_10(0x2f, 5, 1, 0x02), write, &block},
      {"VERIFY (16)", cdb_16(0x8f, 5, 1), none, nullptr},
      {"SYNCHRONIZE CACHE (10)", cdb_10(0x35, 0, 0), none, nullptr},
      {"SYNCHRONIZE CACHE (16)", cdb_16(0x91, 0, 0), none, nullptr},
      {"WRITE SAME (10)", cdb_10(0x41, 8, 4), write, &block},
      {"WRITE SAME (16)", cdb_16(0x93, 8, 4), write, &block},
      {"COMPARE AND WRITE", cdb_16(0x89, 5, 1), write, &pair},
      {"EXTENDED COPY (LID1)", cdb_16(0x83, 0, static_cast<std::uint32_t>(copy.size())), write,
       &copy},
      {"RECEIVE COPY OPERATING PARAMETERS", cdb_16(0x84, 0, 512, 0x03), read, &in},
      {"UNMAP", {0x42, 0, 0, 0, 0, 0, 0, 0, 24, 0}, write, &unmap},
      {"PRE-FETCH (10)", cdb_10(0x34, 0, 8), none, nullptr},
      {"PRE-FETCH (16)", cdb_16(0x90, 0, 8), none, nullptr},
      {"GET LBA STATUS", cdb_16(0x9e, 0, 512, 0x12), read, &in},
      {"REPORT SUPPORTED OPERATION CODES", {0xa3, 0x0c, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0}, read, &in},
      {"REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS",
       {0xa3, 0x0d, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0},
       read,
       &in},
      {"SEND DIAGNOSTIC", {0x1d, 0x04, 0, 0, 0, 0}, none, nullptr},
      {"START STOP UNIT", {0x1b, 0, 0, 0, 1, 0}, none, nullptr},
  };
  std::set<Opcode> tried;
  for (const Step& step : steps) {
    Cdb cdb = step.cdb;
    if (cdb.bytes[0] == 0x9e && step.direction == read) {
      cdb.bytes[12] = 2;  // an allocation length of 512
      cdb.bytes[13] = 0;
    }
    if (cdb.bytes[0] == 0x89) {
      cdb.bytes[10] = cdb.bytes[11] = cdb.bytes[12] = 0;
      cdb.bytes[13] = 1;
    }
    const Answer answer = lun->execute(
        cdb, step.direction,
        step.data != nullptr ? std::span<std::byte>{*step.data} : std::span<std::byte>{});
    if (answer.status != 0) {
      print_message("%s: status %02x sense %x/%04x\n", step.name, answer.status, answer.sense_key(),
                    answer.additional_sense());
    }
    assert_int_equal(answer.status, 0);
    tried.emplace(cdb.bytes[0], has_service_action(cdb.bytes[0]) ? cdb.bytes[1] & 0x1f : 0);
  }
  const std::set<Opcode> known = reported(*lun);
  for (const auto& [opcode, action] : known) {
    if (!tried.contains({opcode, action})) {
      print_error("there is no step for operation %02x, service action %02x\n", opcode, action);
    }
  }
  assert_true(tried == known);
  assert_sense(lun->execute(Cdb{0x04, 0, 0, 0, 0, 0}), 0x5, 0x2000);  // FORMAT UNIT
}

}  // namespace

int main() {
  load_built_plugin();
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_command_in_an_answer_out),
      cmocka_unit_test(commands_that_wait_together_share_a_doorbell),
      cmocka_unit_test(a_long_queue_is_not_held_back_to_its_end),
      cmocka_unit_test(what_is_written_is_read),
      cmocka_unit_test(one_command_after_the_other_while_the_ring_is_watched),
      cmocka_unit_test(a_mixed_load_on_memory),
      cmocka_unit_test(a_mixed_load_on_a_small_ring_full_of_pads),
      cmocka_unit_test(a_mixed_load_with_blocks_of_4096),
      cmocka_unit_test(a_mixed_load_on_tmpfs),
      cmocka_unit_test(a_mixed_load_on_disk),
      cmocka_unit_test(a_mixed_load_with_the_page_cache),
      cmocka_unit_test(contents_survive_remove_and_add),
      cmocka_unit_test(a_late_answer_does_not_hold_back_the_others),
      cmocka_unit_test(removing_under_load_answers_everything),
      cmocka_unit_test(the_cmdproc_thread_can_be_cancelled_while_it_lingers),
      cmocka_unit_test(a_frozen_backend_does_not_keep_a_lun_from_being_removed),
      cmocka_unit_test(what_cannot_be_opened_is_refused_with_a_reason),
      cmocka_unit_test(a_lun_that_cannot_be_opened_hurts_no_other),
      cmocka_unit_test(one_file_has_one_owner),
      cmocka_unit_test(sizes_that_no_disk_has_are_refused),
      cmocka_unit_test(block_sizes_that_no_disk_has_are_refused),
      cmocka_unit_test(an_old_kernel_is_enough_and_what_it_lacks_is_logged),
      cmocka_unit_test(good_strings_are_accepted_with_and_without_colon),
      cmocka_unit_test(bad_strings_get_a_sentence),
      cmocka_unit_test(growing_is_noticed_and_usable),
      cmocka_unit_test(shrinking_takes_blocks_away),
      cmocka_unit_test(a_size_between_blocks_is_refused),
      cmocka_unit_test(the_configuration_string_stays_what_it_is),
      cmocka_unit_test(short_data_in_leaves_a_residual),
      cmocka_unit_test(without_short_reads_the_rest_is_zero_and_nothing_old),
      cmocka_unit_test(no_data_in_at_all_is_zero_and_nothing_old),
      cmocka_unit_test(the_unit_serial_comes_from_configfs),
      cmocka_unit_test(two_luns_with_one_name_are_warned_of),
      cmocka_unit_test(a_megabyte_is_offered_unless_somebody_asks_for_something_else),
      cmocka_unit_test(a_lun_without_serial_works_and_says_so),
      cmocka_unit_test(commands_the_daemon_throws_away_are_answered),
      cmocka_unit_test(a_thrown_away_command_with_nothing_behind_it_is_answered),
      cmocka_unit_test(a_thrown_away_command_has_its_sense_data_in_descriptors_if_d_sense_is_set),
      cmocka_unit_test(task_management_notices_are_passed_over),
      cmocka_unit_test(commands_that_the_daemon_tracks_are_refused),
      cmocka_unit_test(every_operation_has_a_way_through),
  };
  return cmocka_run_group_tests_name("ring", tests, nullptr, nullptr);
}
