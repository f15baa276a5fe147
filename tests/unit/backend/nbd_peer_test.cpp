// SPDX-License-Identifier: Apache-2.0
// A server's machine that is gone, and one whose server hangs.
#include "lib/backend/nbd_peer.h"

#include "lib/backend/nbd_connection.h"
#include "tests/unit/backend/nbd_site.h"

using namespace ballast;
using namespace ballast::backend;
using namespace ballast::test;
using namespace std::chrono_literals;

namespace {

// --- the other machine

// A machine of its own, as far as the network goes: a network namespace, which can be cut off.
class Machine {
 public:
  Machine() {
    works_ = run("ip netns add " + name_) &&
             run("ip link add " + link_ + " type veth peer name eth0 netns " + name_) &&
             run("ip addr add 198.18.7.1/30 dev " + link_) && run("ip link set " + link_ + " up") &&
             run("ip -n " + name_ + " addr add 198.18.7.2/30 dev eth0") &&
             run("ip -n " + name_ + " link set eth0 up");
  }
  ~Machine() {
    (void)run("ip link del " + link_);
    (void)run("ip netns del " + name_);
  }
  bool works() const { return works_; }
  std::vector<std::string> command(std::vector<std::string> inside) const {
    std::vector<std::string> all{"ip", "netns", "exec", name_};
    all.insert(all.end(), inside.begin(), inside.end());
    return all;
  }
  void vanish() { assert_true(run("ip -n " + name_ + " link set eth0 down")); }

 private:
  static bool run(const std::string& command) {
    return std::system((command + " > /dev/null 2>&1").c_str()) == 0;
  }
  const std::string name_ = "ballast" + std::to_string(::getpid());
  const std::string link_ = "bt" + std::to_string(::getpid());
  bool works_ = false;
};

// One connection over TCP, served, that has this much patience with the other machine.
struct Served {
  Served(Lab& at, const std::string& host, int port, Nanoseconds patience)
      : lab{at}, group{at.executor()} {
    NbdConfig config;
    config.server = host;
    config.port = static_cast<std::uint32_t>(port);
    NbdAttempt made = connect_nbd(config, [] { return false; });
    assert_true(made.peer.ok());
    connection = std::make_unique<NbdConnection>(lab.executor(), lab.context(size, block).uring,
                                                 std::move(made.peer).value(), patience);
    group.spawn("serve", connection->serve());
  }
  ~Served() {
    connection->close();
    lab.drain(group);
  }
  static co::Task<IoStatus> write_all(NbdConnection& connection, std::span<const std::byte> data) {
    NbdRequest request{connection, "test"};
    request.write(Bytes{}, data, 0);
    const int error = co_await request;
    co_return error == 0 ? IoStatus::ok : IoStatus::medium_error;
  }
  Lab& lab;
  co::TaskGroup group;
  std::unique_ptr<NbdConnection> connection;
};

void a_machine_that_vanishes_is_noticed(void**) {
  Machine machine;
  if (!machine.works()) {
    skip();  // not root, or no network namespaces
  }
  const Folder folder;
  Server server{
      machine.command(Server::nbdkit_tcp(10809, folder.file("pid"), {"memory", "size=8M"})),
      folder.file("pid")};
  Lab lab;
  Served served{lab, "198.18.7.2", 10809, 2s};
  std::vector<std::byte> data(65536);
  assert_int_equal(lab.run(Served::write_all(*served.connection, data)), IoStatus::ok);
  machine.vanish();
  const TimePoint begun = co::SteadyClock{}.now();
  assert_int_equal(lab.run(Served::write_all(*served.connection, data)), IoStatus::medium_error);
  assert_true(co::SteadyClock{}.now() - begun < 60s);  // the kernel would take 15 minutes
  assert_string_equal(served.connection->why().c_str(),
                      "the server's machine does not answer any more");
}

// It fills the window, so that its machine answers nothing but probes.
void a_server_that_hangs_is_not_a_machine_that_is_gone(void**) {
  const Folder folder;
  const int port = nbd_test::free_port();
  Server server{Server::nbdkit_tcp(port, folder.file("pid"), {"memory", "size=32M"}),
                folder.file("pid")};
  Lab lab;
  Served served{lab, "127.0.0.1", port, 500ms};
  std::vector<std::byte> data(std::size_t{24} << 20);
  server.freeze();
  std::optional<IoStatus> status;
  co::TaskGroup group{lab.executor()};
  group.spawn("write",
              Lab::store(lab.executor(), Served::write_all(*served.connection, data), &status));
  const TimePoint until = co::SteadyClock{}.now() + 4s;
  while (co::SteadyClock{}.now() < until) {
    lab.step();
  }
  assert_false(status.has_value());
  server.thaw();
  lab.drain(group);
  assert_int_equal(*status, IoStatus::ok);
}

void only_what_goes_unanswered_counts(void**) {
  tcp_info info{};
  info.tcpi_last_ack_recv = 3'600'000;  // an idle connection
  assert_false(is_gone(info, 40s));
  info.tcpi_unacked = 1;  // just sent
  assert_false(is_gone(info, 40s));
  info.tcpi_retransmits = 3;
  assert_true(is_gone(info, 40s));
  info.tcpi_last_ack_recv = 39'000;
  assert_false(is_gone(info, 40s));
  info = {};
  info.tcpi_last_ack_recv = 119'000;  // a closed window is probed every two minutes at last
  assert_false(is_gone(info, 40s));
  info.tcpi_probes = 1;
  assert_false(is_gone(info, 40s));
  info.tcpi_probes = 3;
  assert_true(is_gone(info, 40s));
}

}  // namespace

int main() {
  require_nbdkit();
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_machine_that_vanishes_is_noticed),
      cmocka_unit_test(a_server_that_hangs_is_not_a_machine_that_is_gone),
      cmocka_unit_test(only_what_goes_unanswered_counts),
  };
  return cmocka_run_group_tests_name("nbd peer", tests, nullptr, nullptr);
}
