// SPDX-License-Identifier: Apache-2.0
// LUNs of the built plugin on real NBD servers: data under load, ways to reach a server, names,
// TLS, and the sentences for what cannot be opened.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "tests/nbd/server.h"
#include "tests/ring/support.h"

#include "tests/cmocka.h"

using namespace ballast::ring_test;
using ballast::nbd_test::file_of;
using ballast::nbd_test::free_port;
using ballast::nbd_test::Server;

namespace {

constexpr unsigned good = 0x00;

std::uint64_t commands(std::uint64_t quick) {
  return std::getenv("BALLAST_LONG") != nullptr ? quick * 10 : quick;
}

LunOptions blocks_of(std::uint32_t block_size) {
  LunOptions options;
  options.block_size = block_size;
  return options;
}

void keeps_its_data(const std::string& config) {
  for (const std::uint32_t block : {512U, 4096U}) {
    const auto lun = Lun::add(config, blocks_of(block));
    if (lun == nullptr) {
      print_error("%s\n", take_log().c_str());
    }
    assert_non_null(lun.get());
    // A server that serves one client at a time needs a moment to see that the last one has left.
    assert_true(eventually([&] { return lun->execute(test_unit_ready()).status == good; }));
    std::vector<std::byte> zeros(std::size_t{64} * block);
    for (std::uint64_t i = 0; i < 32; ++i) {  // the load begins with zeros
      assert_int_equal(lun->execute(write_16(i * 64, 64), Direction::to_device, zeros).status,
                       good);
    }
    const LoadResult result = random_load(*lun, commands(4000), 32, block, seed());
    if (result.failed > 0) {
      print_error("status %u, sense %x %x\n%s\n", unsigned{result.first_failure.status},
                  result.first_failure.sense_key(), result.first_failure.additional_sense(),
                  take_log().c_str());
    }
    assert_int_equal(result.failed, 0);
    assert_int_equal(result.mismatches, 0);
    assert_true(lun->remove());
  }
}

void nbdkit_keeps_the_data_of_a_lun(void**) {
  const Folder folder{"/tmp"};
  const std::string socket = folder.file("n");
  const Server server{Server::nbdkit(socket, {"memory", "size=64M"}), socket + ".pid"};
  keeps_its_data("nbd=" + socket);
  keeps_its_data("nbd=" + socket + ";connections=4");
}

void qemu_nbd_keeps_the_data_of_a_lun(void**) {
  const Folder folder{"/tmp"};
  const std::string socket = folder.file("q");
  const Server server{Server::qemu_nbd(socket, file_of(folder.file("vol")), {"-x", "a:b,c%;d"}),
                      socket + ".pid"};
  keeps_its_data("nbd=" + socket + ";export=a%3Ab%2Cc%25%3Bd;exclusive=server");
}

void servers_are_reached_over_tcp(void**) {
  const Folder folder{"/tmp"};
  const int port = free_port();
  const Server server{Server::nbdkit_tcp(port, folder.file("pid"),
                                         {"--filter=limit", "memory", "size=64M", "limit=1"}),
                      folder.file("pid")};
  const std::string rest = ";port=" + std::to_string(port) + ";exclusive=server";
  keeps_its_data("nbd=127.0.0.1" + rest);
  for (const char* host : {"localhost", "%3A%3A1", "::1", "[::1]"}) {
    const auto lun = Lun::add("nbd=" + (host + rest));
    if (lun == nullptr && std::strstr(take_log().c_str(), "annot assign requested") != nullptr) {
      continue;  // this machine has no IPv6
    }
    assert_non_null(lun.get());
    std::vector<std::byte> data(4096, std::byte{7});
    assert_true(eventually(
        [&] { return lun->execute(write_16(0, 8), Direction::to_device, data).status == good; }));
  }
}

// --- what cannot be opened

std::string log_of_refusal() {
  std::string log;
  assert_true(log_says(log, {"cannot be opened"}));
  return log;
}

// The sentence for the operator.
std::string refusal(const std::string& config) {
  const std::string sentence = check_config(config);
  if (sentence.empty()) {
    // On a busy machine the LUN may be there before it is refused.
    const auto lun = Lun::add(config);
    return log_of_refusal();
  }
  return sentence;
}

void expect(const std::string& config, std::initializer_list<const char*> words) {
  const std::string sentence = refusal(config);
  for (const char* word : words) {
    if (sentence.find(word) == std::string::npos) {
      print_error("%s: \"%s\" does not say \"%s\"\n", config.c_str(), sentence.c_str(), word);
      assert_true(false);
    }
  }
}

void every_mistake_has_a_sentence_that_names_the_stage(void**) {
  const Folder folder{"/tmp"};
  const std::string socket = folder.file("q");
  const Server server{Server::qemu_nbd(socket, file_of(folder.file("vol")), {"-x", "vol0"}),
                      socket + ".pid"};
  const std::string port = std::to_string(free_port());
  expect("nbd=" + socket + ";export=other", {"export \"other\"", "no such export"});
  expect("nbd=127.0.0.1;port=" + port, {"cannot connect to 127.0.0.1 port", "refused"});
  expect("nbd=" + folder.file("vol"), {"it is no socket"});
  expect("nbd=" + folder.file("missing"), {"cannot connect", "No such file"});
  expect("nbd=no-such-host.invalid", {"cannot resolve the name \"no-such-host.invalid\""});
  expect("nbd=" + socket + ";tls=require", {"tls_psk_file=/path"});
  expect("nbd=" + socket + ";port=7", {"port=7"});
  expect("nbd=h;connections=2;exclusive=server", {"connections=2", "contradict"});
  expect("nbd=h;connections=0", {"key connections", "1 to 16"});
  expect("file=/tmp/x;export=a", {"key export can be used with nbd only"});
}

void a_lun_that_is_larger_than_the_export_is_refused(void**) {
  const Folder folder{"/tmp"};
  const std::string socket = folder.file("n");
  const Server server{Server::nbdkit(socket, {"memory", "size=32M"}), socket + ".pid"};
  const auto lun = Lun::add("nbd=" + socket);
  const std::string log = log_of_refusal();
  assert_non_null(std::strstr(log.c_str(), "33554432"));
  assert_non_null(std::strstr(log.c_str(), "67108864"));
}

void a_read_only_export_is_write_protected(void**) {
  const Folder folder{"/tmp"};
  const std::string socket = folder.file("n");
  const Server server{Server::nbdkit(socket, {"-r", "memory", "size=64M"}), socket + ".pid"};
  const auto lun = Lun::add("nbd=" + socket);
  assert_non_null(lun.get());
  std::vector<std::byte> data(4096);
  assert_int_equal(lun->execute(read_16(0, 8), Direction::from_device, data).status, good);
  const Answer answer = lun->execute(write_16(0, 8), Direction::to_device, data);
  assert_int_equal(answer.status, 0x02);
  assert_int_equal(answer.sense_key(), 0x7);
}

void tls_needs_the_right_key(void**) {
  const Folder folder{"/tmp"};
  for (const char* name : {"right", "wrong"}) {
    const std::string command = "psktool -u ballast -p " + folder.file(name) + " > /dev/null 2>&1";
    assert_int_equal(std::system(command.c_str()), 0);
  }
  const int port = free_port();
  const Server server{Server::nbdkit_tcp(port, folder.file("pid"),
                                         {"--tls=require", "--tls-psk=" + folder.file("right"),
                                          "memory", "size=64M"}),
                      folder.file("pid")};
  const std::string config = "nbd=127.0.0.1;port=" + std::to_string(port);
  keeps_its_data(config + ";tls=require;tls_psk_file=" + folder.file("right"));
  expect(config + ";tls=require;tls_psk_file=" + folder.file("wrong"), {"TLS with 127.0.0.1"});
  expect(config + ";tls=require;tls_psk_file=" + folder.file("none"), {"cannot read the key"});
  expect(config, {"tls=require"});
  const std::string socket = folder.file("n");
  const Server plain{Server::nbdkit(socket, {"memory", "size=64M"}), socket + ".pid"};
  expect("nbd=" + socket + ";tls=require;tls_psk_file=" + folder.file("right"), {"TLS with"});
}

}  // namespace

int main() {
  for (const char* program : {"nbdkit", "qemu-nbd", "psktool"}) {
    if (!ballast::nbd_test::has_program(program)) {
      std::printf("%s is not installed: ci/deps check installs it\n", program);
      return 77;
    }
  }
  load_built_plugin();
  const CMUnitTest tests[] = {
      cmocka_unit_test(nbdkit_keeps_the_data_of_a_lun),
      cmocka_unit_test(qemu_nbd_keeps_the_data_of_a_lun),
      cmocka_unit_test(servers_are_reached_over_tcp),
      cmocka_unit_test(every_mistake_has_a_sentence_that_names_the_stage),
      cmocka_unit_test(a_lun_that_is_larger_than_the_export_is_refused),
      cmocka_unit_test(a_read_only_export_is_write_protected),
      cmocka_unit_test(tls_needs_the_right_key),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
