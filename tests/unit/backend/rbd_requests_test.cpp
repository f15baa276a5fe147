// SPDX-License-Identifier: Apache-2.0
// What an admin socket of librados says of requests, and what becomes of a question to one that
// does not answer. A thread plays librados.
#include "lib/backend/rbd_requests.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "lib/backend/rbd_admin_socket.h"
#include "lib/base/errand.h"
#include "lib/base/unique_fd.h"
#include "tests/unit/backend/lab.h"

#include "tests/cmocka.h"

using namespace ballast;
using namespace ballast::backend;
using namespace std::chrono_literals;
using ballast::test::Folder;

namespace {

using Clock = std::chrono::steady_clock;

// As Ceph 16 writes it, shortened.
std::string request(int osd, const char* object, double age, const char* more = "") {
  return fmt::format(
      R"({{"tid":3,"pg":"1.2a380763","osd":{},"object_id":"{}","paused":0,"age":{},"attempts":1{}}})",
      osd, object, age, more);
}

std::string answer(const std::string& requests) {
  return R"({"ops":[)" + requests + R"(],"linger_ops":[],"pool_ops":[]})";
}

// --- the words

void the_oldest_request_counts(void**) {
  const std::string three =
      request(1, "a", 2.5) + "," + request(3, "rbd_data.1.ff", 12.14) + "," + request(1, "b", 0.1);
  assert_string_equal(oldest_request(answer(three)).c_str(),
                      "osd.3, object rbd_data.1.ff, for 12.1 s; 2 more requests wait");
  assert_string_equal(oldest_request(answer(request(0, "a", 1) + "," + request(0, "b", 2))).c_str(),
                      "osd.0, object b, for 2.0 s; 1 more request waits");
}

void an_osd_that_is_gone_has_its_words(void**) {
  assert_string_equal(oldest_request(answer(request(-1, "a", 7))).c_str(),
                      "an OSD that is up for placement group 1.2a380763, object a, for 7.0 s");
  std::string paused = request(2, "a", 7);
  paused.replace(paused.find(R"("paused":0)"), 10, R"("paused":1)");
  assert_string_equal(
      oldest_request(answer(paused)).c_str(),
      "the cluster to let clients go on (it is paused or full), object a, for 7.0 s");
}

void what_cannot_be_understood_says_nothing(void**) {
  for (const char* text :
       {"", "{", "[]", "{}", "null", "{\"ops\":{}}", "{\"ops\":[]}", "{\"ops\":[{}]}",
        "{\"ops\":[{\"osd\":\"x\",\"age\":1,\"object_id\":\"o\"}]}"}) {
    assert_string_equal(oldest_request(text).c_str(), "");
  }
}

// --- the socket

// Listens at `path`, and gives each caller to `serve`, one after the other.
class Librados {
 public:
  using Serve = std::function<void(int fd)>;
  Librados(const std::string& path, Serve serve) : serve_{std::move(serve)} {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(static_cast<char*>(address.sun_path), path.size());
    listener_ = UniqueFd{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    BALLAST_ASSERT(
        ::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    BALLAST_ASSERT(::listen(listener_.get(), 4) == 0);
    thread_ = std::thread{[this] {
      for (;;) {
        const UniqueFd caller{::accept(listener_.get(), nullptr, nullptr)};
        if (!caller) {
          return;
        }
        ++callers;
        serve_(caller.get());
      }
    }};
  }
  ~Librados() {
    (void)::shutdown(listener_.get(), SHUT_RDWR);
    thread_.join();
  }
  std::atomic<int> callers{0};

 private:
  Serve serve_;
  UniqueFd listener_;
  std::thread thread_;
};

std::string command_of(int fd) {
  std::string command;
  char byte = 0;
  while (::read(fd, &byte, 1) == 1 && byte != '\0') {
    command += byte;
  }
  return command;
}

void say(int fd, const std::string& text) {
  const auto length = static_cast<std::uint32_t>(text.size());
  for (int shift = 24; shift >= 0; shift -= 8) {
    const auto byte = static_cast<char>(length >> shift & 0xff);
    (void)::send(fd, &byte, 1, MSG_NOSIGNAL);
  }
  (void)::send(fd, text.data(), text.size(), MSG_NOSIGNAL);
}

struct Asker {
  explicit Asker(const std::string& path) : requests{lab.executor(), path} {}
  std::string ask(Nanoseconds patience = 5s) { return lab.run(requests.oldest(patience)); }
  ballast::test::Lab lab;
  RbdRequests requests;
};

void the_answer_comes_from_the_socket(void**) {
  const Folder folder;
  std::mutex mutex;  // guards the next two
  std::string command;
  std::string says = answer(request(3, "x", 1));
  Asker asker{folder.file("s")};
  assert_string_equal(asker.ask().c_str(), "");  // nobody listens
  {
    const Librados librados{folder.file("s"), [&](int fd) {
                              const std::string read = command_of(fd);
                              const std::lock_guard lock{mutex};
                              command = read;
                              say(fd, says);
                            }};
    assert_string_equal(asker.ask().c_str(), "osd.3, object x, for 1.0 s");
    {
      const std::lock_guard lock{mutex};
      assert_string_equal(command.c_str(), R"({"prefix": "objecter_requests", "format": "json"})");
      says = answer("");
    }
    assert_string_equal(asker.ask().c_str(), "");
  }
  assert_string_equal(Asker{""}.ask().c_str(), "");
}

void a_socket_that_does_not_answer_costs_a_bounded_time_and_one_thread(void**) {
  const Folder folder;
  std::atomic<bool> over{false};
  Librados librados{folder.file("s"), [&](int fd) {
                      (void)command_of(fd);
                      while (!over) {
                        std::this_thread::sleep_for(1ms);
                      }
                    }};
  Asker asker{folder.file("s")};
  while (errands_under_way() > 0) {  // those of earlier tests
    std::this_thread::sleep_for(1ms);
  }
  const auto begun = Clock::now();
  assert_string_equal(asker.ask(50ms).c_str(), "");
  for (int i = 0; i < 20; ++i) {
    assert_string_equal(asker.ask().c_str(), "");  // at once, because the first errand still waits
  }
  assert_true(Clock::now() - begun < 4s);
  assert_int_equal(errands_under_way(), 1);
  assert_true(librados.callers <= 1);
  over = true;
  while (errands_under_way() > 0) {  // it gives up by itself as well
    std::this_thread::sleep_for(1ms);
  }
}

void an_answer_that_is_too_long_or_cut_off_is_none(void**) {
  const Folder folder;
  std::atomic<int> way{0};
  const Librados librados{folder.file("s"), [&](int fd) {
                            (void)command_of(fd);
                            if (way == 0) {
                              (void)::send(fd, "\x7f\xff\xff\xff{", 5, MSG_NOSIGNAL);
                            } else if (way == 1) {
                              (void)::send(fd, "\0\0\0\x09{", 5, MSG_NOSIGNAL);
                            }
                          }};
  for (; way < 3; ++way) {
    assert_string_equal(ask_admin_socket(folder.file("s"), "{}", 5s, 1000).c_str(), "");
  }
}

// --- the folder

void the_folder_is_for_this_user_only(void**) {
  const Folder folder;
  const std::string path = folder.file("sockets");
  assert_int_equal(::mkdir(path.c_str(), 0777), 0);
  assert_int_equal(::chmod(path.c_str(), 0777), 0);
  const RbdAdminSocket one{path};
  const RbdAdminSocket other{path};
  assert_true(one.path().starts_with(path + "/"));
  assert_string_not_equal(one.path().c_str(), other.path().c_str());
  struct stat found {};
  assert_int_equal(::stat(path.c_str(), &found), 0);
  assert_int_equal(found.st_mode & 0777, 0700);
}

void a_folder_that_cannot_be_used_gives_no_socket(void**) {
  const Folder folder;
  assert_string_equal(RbdAdminSocket{"/proc/no/such"}.path().c_str(), "");
  assert_string_equal(RbdAdminSocket{folder.file(std::string(100, 'x').c_str())}.path().c_str(),
                      "");
  std::filesystem::create_directory_symlink("/tmp", folder.file("link"));
  assert_string_equal(RbdAdminSocket{folder.file("link")}.path().c_str(), "");
}

void what_a_killed_process_has_left_is_removed(void**) {
  const Folder folder;
  const std::string path = folder.file("sockets");
  std::filesystem::create_directory(path);
  const pid_t child = ::fork();
  if (child == 0) {
    ::_exit(0);
  }
  assert_int_equal(::waitpid(child, nullptr, 0), child);
  const std::string dead = path + "/" + std::to_string(child) + ".1.asok";
  const std::string alive = path + "/" + std::to_string(::getppid()) + ".1.asok";
  const std::string foreign = path + "/" + std::to_string(child) + ".txt";
  for (const std::string& file : {dead, alive, foreign}) {
    std::ofstream{file} << "x";
  }
  std::string ours;
  {
    const RbdAdminSocket socket{path};
    ours = socket.path();
    std::ofstream{ours} << "x";
    assert_false(std::filesystem::exists(dead));
    assert_true(std::filesystem::exists(alive) && std::filesystem::exists(foreign));
  }
  assert_false(std::filesystem::exists(ours));
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(the_oldest_request_counts),
      cmocka_unit_test(an_osd_that_is_gone_has_its_words),
      cmocka_unit_test(what_cannot_be_understood_says_nothing),
      cmocka_unit_test(the_answer_comes_from_the_socket),
      cmocka_unit_test(a_socket_that_does_not_answer_costs_a_bounded_time_and_one_thread),
      cmocka_unit_test(an_answer_that_is_too_long_or_cut_off_is_none),
      cmocka_unit_test(the_folder_is_for_this_user_only),
      cmocka_unit_test(a_folder_that_cannot_be_used_gives_no_socket),
      cmocka_unit_test(what_a_killed_process_has_left_is_removed),
  };
  return cmocka_run_group_tests_name("rbd requests", tests, nullptr, nullptr);
}
