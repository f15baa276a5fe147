// SPDX-License-Identifier: Apache-2.0
// LUNs of the built plugin whose NBD server freezes, dies, is not there yet, or breaks the
// protocol, under a load that knows what each block must hold; and a LUN on a file beside them,
// which must not notice.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "tests/nbd/server.h"
#include "tests/ring/steady_load.h"
#include "tests/ring/support.h"

#include "tests/cmocka.h"

using namespace ballast::ring_test;
using ballast::nbd_test::file_of;
using ballast::nbd_test::Server;
using namespace std::chrono_literals;

namespace {

constexpr unsigned good = 0x00;
constexpr unsigned busy = 0x08;

constexpr std::chrono::milliseconds shortest_freeze = 4s;

bool is_long() {
  return std::getenv("BALLAST_LONG") != nullptr;
}

void expect_no_trouble(const SteadyLoad& load) {
  if (!load.trouble().empty()) {
    print_error("%s\n%s\n", load.trouble().c_str(), take_log().c_str());
  }
  assert_string_equal(load.trouble().c_str(), "");
}

// A healthy LUN of the same daemon.
class Sibling {
 public:
  Sibling() : lun_{Lun::add("file=" + folder_.file("sibling.raw"))}, load_{*lun_, 2, 512, seed()} {}
  // A neighbour that froze would show as a gap of as long.
  void expect_no_gap() {
    load_.stop();
    expect_no_trouble(load_);
    assert_int_equal(load_.busy(), 0);
    assert_true(load_.gap() < shortest_freeze * 3 / 4 + standstill_.longest());
  }

 private:
  Folder folder_{"/dev/shm"};
  std::unique_ptr<Lun> lun_;
  SteadyLoad load_;
  Standstill standstill_;
};

void freeze_and_thaw(Server& server, const std::string& config, std::uint32_t block_size) {
  Sibling sibling;
  LunOptions options;
  options.block_size = block_size;
  const auto lun = Lun::add(config, options);
  assert_non_null(lun.get());
  SteadyLoad load{*lun, 6, block_size, seed()};
  for (int i = 0; i < (is_long() ? 10 : 2); ++i) {
    std::this_thread::sleep_for(300ms);
    server.freeze();
    std::this_thread::sleep_for(is_long() ? 10s : shortest_freeze);
    const std::uint64_t before = load.done();
    assert_true(load.busy() > 0);
    server.thaw();
    assert_true(eventually([&] { return load.done() > before + 20; }));
  }
  load.stop();
  expect_no_trouble(load);
  sibling.expect_no_gap();
}

void a_frozen_nbdkit_is_waited_for(void**) {
  const Folder folder{"/tmp"};
  const std::string socket = folder.file("n");
  Server server{Server::nbdkit(socket, {"--filter=limit", "memory", "size=64M", "limit=1"}),
                socket + ".pid"};
  freeze_and_thaw(server, "nbd=" + socket + ";exclusive=server" + quick, 512);
}

void a_frozen_qemu_nbd_is_waited_for(void**) {
  const Folder folder{"/tmp"};
  const std::string socket = folder.file("q");
  Server server{Server::qemu_nbd(socket, file_of(folder.file("vol"))), socket + ".pid"};
  freeze_and_thaw(server, "nbd=" + socket + ";exclusive=server" + quick, 4096);
}

void kill_and_restart(Server& server, const std::string& config) {
  Sibling sibling;
  const auto lun = Lun::add(config);
  assert_non_null(lun.get());
  SteadyLoad load{*lun, 6, 512, seed()};
  for (int i = 0; i < (is_long() ? 60 : 6); ++i) {
    std::this_thread::sleep_for(200ms);
    server.kill();
    std::this_thread::sleep_for(std::chrono::milliseconds{i * 100});
    server.start();
    const std::uint64_t before = load.done();
    assert_true(eventually([&] { return load.done() > before + 20; }));
  }
  load.stop();
  expect_no_trouble(load);
  sibling.expect_no_gap();
}

void a_killed_nbdkit_costs_no_byte(void**) {
  const Folder folder{"/tmp"};
  const std::string socket = folder.file("n");
  Server server{
      Server::nbdkit(socket, {"--filter=limit", "file", file_of(folder.file("vol")), "limit=1"}),
      socket + ".pid"};
  kill_and_restart(server, "nbd=" + socket + ";exclusive=server");
}

void a_killed_nbdkit_with_several_connections_costs_no_byte(void**) {
  const Folder folder{"/tmp"};
  const std::string socket = folder.file("n");
  Server server{Server::nbdkit(socket, {"file", file_of(folder.file("vol"))}), socket + ".pid"};
  kill_and_restart(server, "nbd=" + socket + ";connections=4");
}

void a_killed_qemu_nbd_costs_no_byte(void**) {
  const Folder folder{"/tmp"};
  const std::string socket = folder.file("q");
  Server server{Server::qemu_nbd(socket, file_of(folder.file("vol"))), socket + ".pid"};
  kill_and_restart(server, "nbd=" + socket + ";exclusive=server");
}

void a_server_that_is_not_there_yet_is_waited_for(void**) {
  const Folder folder{"/tmp"};
  const std::string socket = folder.file("n");
  Server server{Server::nbdkit(socket, {"file", file_of(folder.file("vol"))}), socket + ".pid"};
  server.stop();
  LunOptions options;
  options.at_start = true;
  const auto lun = Lun::add("nbd=" + socket, options);
  assert_non_null(lun.get());
  assert_true(lun->execute(test_unit_ready()).becoming_ready());
  std::vector<std::byte> data(4096, std::byte{9});
  assert_int_equal(lun->execute(write_16(0, 8), Direction::to_device, data).status, busy);
  std::string log;
  assert_true(log_says(log, {"becoming ready: cannot connect"}));
  server.start();
  assert_true(eventually([&] { return lun->execute(test_unit_ready()).status == good; }));
  assert_int_equal(lun->execute(write_16(0, 8), Direction::to_device, data).status, good);
}

void a_lun_whose_server_hangs_is_closed_in_time(void**) {
  const Folder folder{"/tmp"};
  const std::string socket = folder.file("q");
  Server server{Server::qemu_nbd(socket, file_of(folder.file("vol"))), socket + ".pid"};
  const auto lun = Lun::add("nbd=" + socket + ";exclusive=server" + quick);
  assert_non_null(lun.get());
  std::vector<std::byte> data(4096, std::byte{9});
  assert_true(eventually(
      [&] { return lun->execute(write_16(0, 8), Direction::to_device, data).status == good; }));
  server.freeze();
  assert_int_equal(lun->execute(write_16(0, 8), Direction::to_device, data).status, busy);
  const auto begin = std::chrono::steady_clock::now();
  assert_true(lun->remove());
  assert_true(std::chrono::steady_clock::now() - begin < 30s);
  server.thaw();
}

// A server that obeys the protocol until it does not: tests/nbd/unruly_server.
void a_server_that_breaks_the_protocol_harms_nobody(void**) {
  const Folder folder{"/tmp"};
  Sibling sibling;
  const std::uint64_t first = seed();
  for (std::uint64_t i = 0; i < (is_long() ? 400U : 20U); ++i) {
    const std::string socket = folder.file("u");
    Server server{{"tests/nbd/unruly_server", socket, std::to_string(first + i)}, socket + ".pid"};
    LunOptions options;
    options.at_start = true;
    options.size = std::uint64_t{1} << 20;
    // Of a store that others may write to, Ballast holds late writes back. Else it answers BUSY.
    const char* const owner = i % 2 == 0 ? "" : ";exclusive=server";
    const auto lun = Lun::add("nbd=" + socket + owner + quick, options);
    assert_non_null(lun.get());
    std::vector<std::byte> data(65536, std::byte{1});
    Cdb get_lba_status = cdb_16(0x9e, 0, 512, 0x12);
    for (std::uint64_t j = 0; j < 6; ++j) {
      (void)lun->execute(write_16(j * 128, 128), Direction::to_device, data);
      const Answer answer = lun->execute(read_16(j * 128, 128), Direction::from_device, data);
      assert_true(answer.status == good || answer.status == busy || answer.status == 0x02);
      (void)lun->execute(cdb_16(0x93, j * 128, 64, 0x08), Direction::to_device,
                         std::span{data}.first(512));
      (void)lun->execute(get_lba_status, Direction::from_device, std::span{data}.first(512));
    }
    server.kill();  // so that nothing is under way on a connection that hangs
    assert_true(lun->remove());
    (void)take_log();
  }
  sibling.expect_no_gap();
}

}  // namespace

int main() {
  for (const char* program : {"nbdkit", "qemu-nbd", "python3"}) {
    if (!ballast::nbd_test::has_program(program)) {
      std::printf("%s is not installed: ci/deps check installs it\n", program);
      return 77;
    }
  }
  load_built_plugin();
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_frozen_nbdkit_is_waited_for),
      cmocka_unit_test(a_frozen_qemu_nbd_is_waited_for),
      cmocka_unit_test(a_killed_nbdkit_costs_no_byte),
      cmocka_unit_test(a_killed_nbdkit_with_several_connections_costs_no_byte),
      cmocka_unit_test(a_killed_qemu_nbd_costs_no_byte),
      cmocka_unit_test(a_server_that_is_not_there_yet_is_waited_for),
      cmocka_unit_test(a_lun_whose_server_hangs_is_closed_in_time),
      cmocka_unit_test(a_server_that_breaks_the_protocol_harms_nobody),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
