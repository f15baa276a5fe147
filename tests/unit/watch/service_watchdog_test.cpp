// SPDX-License-Identifier: Apache-2.0
#include "lib/watch/service_watchdog.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <string>

#include "lib/base/never_destroyed.h"
#include "lib/base/unique_fd.h"
#include "lib/co/clock.h"
#include "lib/watch/watchdog.h"

#include "tests/cmocka.h"

using namespace ballast;
using namespace std::chrono_literals;

namespace {

// The service manager's end: a socket with an abstract name of this process.
struct Manager {
  Manager() : name{"@ballast-test-" + std::to_string(::getpid())} {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, name.data(), name.size());
    address.sun_path[0] = '\0';
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
    bound = ::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), length) == 0;
    const timeval limit{.tv_sec = 60, .tv_usec = 0};
    (void)::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  }
  std::string hear() const {
    char text[100];
    const ssize_t got = ::recv(fd.get(), text, sizeof text, 0);
    return got > 0 ? std::string(text, static_cast<std::size_t>(got)) : std::string{};
  }
  std::string name;
  UniqueFd fd{::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
  bool bound = false;
};

void set(const char* socket, const char* limit, const char* pid) {
  const auto one = [](const char* name, const char* value) {
    (void)(value != nullptr ? ::setenv(name, value, 1) : ::unsetenv(name));
  };
  one("NOTIFY_SOCKET", socket);
  one("WATCHDOG_USEC", limit);
  one("WATCHDOG_PID", pid);
}

void a_unit_without_a_watchdog_has_none(void**) {
  set(nullptr, nullptr, nullptr);
  assert_false(watch::ServiceWatchdog::from_environment().has_value());
  set("/run/systemd/notify", nullptr, nullptr);
  assert_false(watch::ServiceWatchdog::from_environment().has_value());
  for (const char* limit : {"0", "-1", "", "soon", "10s"}) {
    set("/run/systemd/notify", limit, nullptr);
    assert_false(watch::ServiceWatchdog::from_environment().has_value());
  }
  set(nullptr, "1000000", nullptr);
  assert_false(watch::ServiceWatchdog::from_environment().has_value());
  set("relative", "1000000", nullptr);
  assert_false(watch::ServiceWatchdog::from_environment().has_value());
  set(std::string(200, '/').c_str(), "1000000", nullptr);
  assert_false(watch::ServiceWatchdog::from_environment().has_value());
}

void a_watchdog_of_another_process_is_not_ours(void**) {
  set("/run/systemd/notify", "1000000", std::to_string(::getppid()).c_str());
  assert_false(watch::ServiceWatchdog::from_environment().has_value());
  set("/run/systemd/notify", "1000000", std::to_string(::getpid()).c_str());
  const auto service = watch::ServiceWatchdog::from_environment();
  assert_true(service.has_value());
  assert_true(service->limit() == 1s);
}

void feeding_is_one_message(void**) {
  const Manager manager;
  assert_true(manager.bound);
  set(manager.name.c_str(), "1000000", nullptr);
  const auto service = watch::ServiceWatchdog::from_environment();
  assert_true(service.has_value());
  assert_int_equal(service->feed(), 0);
  assert_string_equal(manager.hear().c_str(), "WATCHDOG=1");
}

void a_manager_that_is_not_there_or_does_not_read_is_no_wait(void**) {
  set("/nonexistent/notify", "1000000", nullptr);
  assert_int_equal(watch::ServiceWatchdog::from_environment()->feed(), ENOENT);
  const Manager manager;
  set(manager.name.c_str(), "1000000", nullptr);
  const auto service = watch::ServiceWatchdog::from_environment();
  int error = 0;
  for (int i = 0; i < 100'000 && error == 0; ++i) {
    error = service->feed();
  }
  assert_int_equal(error, EAGAIN);
}

struct Process {
  co::SteadyClock clock;
  watch::Watchdog watchdog{clock};
};

void the_thread_feeds_without_luns_too(void**) {
  const Manager manager;
  set(manager.name.c_str(), "3000000", nullptr);
  assert_true(
      never_destroyed<Process>().watchdog.start(watch::ServiceWatchdog::from_environment()));
  assert_string_equal(manager.hear().c_str(), "WATCHDOG=1");
  assert_string_equal(manager.hear().c_str(), "WATCHDOG=1");
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_unit_without_a_watchdog_has_none),
      cmocka_unit_test(a_watchdog_of_another_process_is_not_ours),
      cmocka_unit_test(feeding_is_one_message),
      cmocka_unit_test(a_manager_that_is_not_there_or_does_not_read_is_no_wait),
      cmocka_unit_test(the_thread_feeds_without_luns_too),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
