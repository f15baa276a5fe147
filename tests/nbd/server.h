// SPDX-License-Identifier: Apache-2.0
// A real NBD server as a child of the test: nbdkit, qemu-nbd, or a script that breaks the protocol.
// It listens on a Unix socket, or on a loopback port that the system has chosen. It is stopped by
// its process id when the object goes, and the kernel kills it with the test.
#pragma once

#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "lib/base/assert.h"

namespace ballast::nbd_test {

// Whether a program is there to be run.
inline bool has_program(const std::string& name) {
  const std::string path = std::getenv("PATH") != nullptr ? std::getenv("PATH") : "";
  for (std::size_t begin = 0; begin <= path.size();) {
    const std::size_t end = std::min(path.find(':', begin), path.size());
    if (::access((path.substr(begin, end - begin) + "/" + name).c_str(), X_OK) == 0) {
      return true;
    }
    begin = end + 1;
  }
  return false;
}

// A port of the loopback addresses that no program listened on a moment ago.
inline int free_port() {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  BALLAST_ASSERT(::bind(fd, reinterpret_cast<sockaddr*>(&address), length) == 0);
  BALLAST_ASSERT(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) == 0);
  ::close(fd);
  return ntohs(address.sin_port);
}

// Makes a sparse file for a server to export. Returns its path.
inline std::string file_of(const std::string& path, std::uint64_t size = std::uint64_t{64} << 20) {
  std::ofstream{path}.flush();
  std::filesystem::resize_file(path, size);
  return path;
}

class Server {
 public:
  // `ready` is a file that the program writes when it listens. What the program says goes to
  // `<ready>.log`.
  Server(std::vector<std::string> command, std::string ready)
      : command_{std::move(command)}, ready_{std::move(ready)} {
    start();
  }
  ~Server() { stop(); }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // nbdkit on `folder`/<name>.sock: `what` is its plugin with parameters, and options such as
  // filters may stand before it.
  static std::vector<std::string> nbdkit(const std::string& socket,
                                         const std::vector<std::string>& what) {
    std::vector<std::string> command{"nbdkit", "-f", "-U", socket, "-P", socket + ".pid"};
    command.insert(command.end(), what.begin(), what.end());
    return command;
  }
  static std::vector<std::string> nbdkit_tcp(int port, const std::string& pid_file,
                                             const std::vector<std::string>& what) {
    std::vector<std::string> command{"nbdkit", "-f", "-p", std::to_string(port), "-P", pid_file};
    command.insert(command.end(), what.begin(), what.end());
    return command;
  }
  static std::vector<std::string> qemu_nbd(const std::string& socket, const std::string& file,
                                           const std::vector<std::string>& options = {}) {
    std::vector<std::string> command{
        "qemu-nbd",       "-t", "-k", socket, "--pid-file=" + socket + ".pid", "-f", "raw",
        "--discard=unmap"};
    command.insert(command.end(), options.begin(), options.end());
    command.push_back(file);
    return command;
  }

  void start() {
    BALLAST_ASSERT(pid_ < 0);
    (void)::unlink(ready_.c_str());
    if (ready_.ends_with(".pid")) {  // a server that was killed left its socket behind
      (void)::unlink(ready_.substr(0, ready_.size() - 4).c_str());
    }
    std::vector<char*> arguments;
    for (std::string& argument : command_) {
      arguments.push_back(argument.data());
    }
    arguments.push_back(nullptr);
    const std::string log = ready_ + ".log";
    pid_ = ::fork();
    if (pid_ == 0) {
      (void)::prctl(PR_SET_PDEATHSIG, SIGKILL);
      sigset_t none;
      sigemptyset(&none);
      (void)::sigprocmask(SIG_SETMASK, &none, nullptr);
      if (std::freopen(log.c_str(), "a", stderr) == nullptr ||
          std::freopen("/dev/null", "r", stdin) == nullptr) {
        ::_exit(126);
      }
      ::execvp(arguments[0], arguments.data());
      ::_exit(127);
    }
    for (int i = 0; i < 1000 && ::access(ready_.c_str(), F_OK) != 0; ++i) {
      ::usleep(10'000);
      if (::waitpid(pid_, nullptr, WNOHANG) == pid_) {
        std::fprintf(stderr, "%s ended at once: see %s\n", command_[0].c_str(), log.c_str());
        std::abort();
      }
    }
  }
  void signal(int number) { BALLAST_ASSERT(::kill(pid_, number) == 0); }
  // Every thread of it stands still when this returns.
  void freeze() {
    signal(SIGSTOP);
    BALLAST_ASSERT(::waitpid(pid_, nullptr, WUNTRACED) == pid_);
  }
  void thaw() { signal(SIGCONT); }
  // Ends it without giving it time for anything.
  void kill() { end(SIGKILL); }
  void stop() { end(SIGTERM); }
  bool runs() const { return pid_ > 0; }
  // Another command line from the next start() on.
  void become(std::vector<std::string> command) { command_ = std::move(command); }

 private:
  void end(int number) {
    if (pid_ > 0) {
      (void)::kill(pid_, number);
      if (number != SIGKILL) {
        (void)::kill(pid_, SIGCONT);
        for (int i = 0; i < 300 && ::waitpid(pid_, nullptr, WNOHANG) == 0; ++i) {
          ::usleep(10'000);
        }
        (void)::kill(pid_, SIGKILL);
      }
      (void)::waitpid(pid_, nullptr, 0);
      pid_ = -1;
    }
  }

  std::vector<std::string> command_;
  const std::string ready_;
  pid_t pid_ = -1;
};

}  // namespace ballast::nbd_test
