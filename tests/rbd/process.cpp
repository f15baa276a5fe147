// SPDX-License-Identifier: Apache-2.0
#include "tests/rbd/process.h"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>
#include <utility>

#include "lib/base/assert.h"

namespace ballast::rbd_test {
namespace {

std::string from_environment(const char* name) {
  const char* const value = std::getenv(name);
  return value != nullptr ? value : "";
}

}  // namespace

void require_cluster() {
  if (from_environment("BALLAST_CEPH").empty()) {
    std::puts("tests/rbd/cluster starts this test");
    std::exit(77);
  }
}

std::string config(const std::string& image, const std::string& more) {
  return "rbd=" + image + ";conf=" + from_environment("CEPH_CONF") + more;
}

bool shell(const std::string& command, std::string* output) {
  std::FILE* const pipe = ::popen(("timeout -k 2 30 " + command + " 2>&1").c_str(), "re");
  BALLAST_ASSERT(pipe != nullptr);
  std::string text;
  char piece[4096];
  std::size_t got = 0;
  while ((got = std::fread(piece, 1, sizeof piece, pipe)) > 0) {
    text.append(piece, got);
  }
  const int status = ::pclose(pipe);
  if (status != 0) {
    std::fprintf(stderr, "%s: status %d: %s\n", command.c_str(), status, text.c_str());
  }
  if (output != nullptr) {
    *output = std::move(text);
  }
  return status == 0;
}

pid_t daemon(const std::string& name) {
  std::ifstream file{from_environment("BALLAST_CEPH") + "/" + name + ".pid"};
  pid_t pid = 0;
  file >> pid;
  BALLAST_ASSERT(pid > 0);
  return pid;
}

void stop(pid_t process) {
  BALLAST_ASSERT(::kill(process, SIGSTOP) == 0);
  const std::filesystem::path tasks = "/proc/" + std::to_string(process) + "/task";
  const auto stands = [](const std::filesystem::path& task) {
    std::ifstream stat{task / "stat"};
    const std::string text{std::istreambuf_iterator<char>{stat}, {}};
    const std::size_t name_end = text.rfind(") ");
    return name_end == std::string::npos || text.compare(name_end + 2, 1, "T") == 0;
  };
  for (int i = 0; i < 1000; ++i) {
    bool all = true;
    for (const auto& task : std::filesystem::directory_iterator{tasks}) {
      all = all && stands(task.path());
    }
    if (all) {
      return;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds{5});
  }
}

Frozen::Frozen(const std::string& name) : pid_{daemon(name)} {
  stop(pid_);
}

Frozen::~Frozen() {
  (void)::kill(pid_, SIGCONT);
}

Process::Process(const std::vector<std::string>& arguments) {
  int ends[2];
  BALLAST_ASSERT(::pipe(ends) == 0);
  std::string program = "/proc/self/exe";
  std::vector<std::string> words = arguments;
  std::vector<char*> argv{program.data()};
  for (std::string& word : words) {
    argv.push_back(word.data());
  }
  argv.push_back(nullptr);
  pid_ = ::fork();
  BALLAST_ASSERT(pid_ >= 0);
  if (pid_ == 0) {
    (void)::prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)::dup2(ends[1], STDOUT_FILENO);
    (void)::close(ends[0]);
    (void)::close(ends[1]);
    (void)::execv(program.c_str(), argv.data());
    ::_exit(127);
  }
  (void)::close(ends[1]);
  output_ = ends[0];
}

Process::~Process() {
  kill();
  (void)::close(output_);
}

std::string Process::line() {
  constexpr int patience_ms = 60'000;
  std::string text;
  for (;;) {
    pollfd ready{.fd = output_, .events = POLLIN, .revents = 0};
    char byte = 0;
    if (::poll(&ready, 1, patience_ms) != 1 || ::read(output_, &byte, 1) != 1) {
      return "";
    }
    if (byte == '\n') {
      return text;
    }
    text += byte;
  }
}

void Process::signal(int number) const {
  BALLAST_ASSERT(::kill(pid_, number) == 0);
}

int Process::exit_status() {
  int status = 0;
  BALLAST_ASSERT(::waitpid(pid_, &status, 0) == pid_);
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void Process::kill() {
  if (pid_ > 0) {
    (void)::kill(pid_, SIGKILL);
    (void)::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }
}

}  // namespace ballast::rbd_test
