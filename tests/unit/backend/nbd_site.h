// SPDX-License-Identifier: Apache-2.0
// For the tests of the NBD backend: an nbdkit of their own and a LUN's surroundings, and operations
// that go on by themselves. Include this file before tests/cmocka.h.
#pragma once

#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/unit/backend/lab.h"

#include "tests/cmocka.h"
#include "tests/nbd/server.h"

namespace ballast::test {

using nbd_test::Server;

inline constexpr Bytes mib{std::uint64_t{1} << 20};
inline constexpr Bytes size{std::uint64_t{8} << 20};
inline constexpr Bytes block{512};

// A server on a socket in a folder of its own, and a LUN's surroundings.
struct Site {
  // `what`: for nbdkit; "@file" is a file that outlives the server.
  explicit Site(const std::vector<std::string>& what) : server{command(what), socket + ".pid"} {}

  std::vector<std::string> command(std::vector<std::string> what) {
    for (std::string& word : what) {
      if (word == "@file") {
        word = file;
        if (!std::filesystem::exists(file)) {
          std::ofstream{file}.flush();
          std::filesystem::resize_file(file, size.value());
        }
      }
    }
    return Server::nbdkit(socket, what);
  }

  backend::StoreConfig config() const {
    backend::StoreConfig all;
    all.kind = backend::find_kind("nbd");
    all.nbd.server = socket;
    return all;
  }
  Result<std::unique_ptr<backend::Backend>> open(const backend::StoreConfig& all,
                                                 Bytes wanted = size, Bytes logical_block = block) {
    return open_now(all, lab.context(wanted, logical_block));
  }
  std::unique_ptr<backend::Backend> open() { return open(config()).value(); }

  IoStatus write(backend::Backend& store, Bytes offset, char with,
                 backend::Fua fua = backend::Fua::yes, std::size_t length = 4096) {
    std::vector<std::byte> data(length, std::byte(with));
    const Flat flat{data};
    return lab.run(store.write(offset, flat.view(), fua));
  }
  // Every byte there, if they are equal; else '?'.
  char read(backend::Backend& store, Bytes offset, std::size_t length = 4096) {
    std::vector<std::byte> data(length);
    const Flat flat{data};
    if (!ok(lab.run(store.read(offset, flat.view())))) {
      return '!';
    }
    const bool same =
        std::all_of(data.begin(), data.end(), [&](std::byte byte) { return byte == data.front(); });
    return same ? static_cast<char>(data.front()) : '?';
  }
  void restart() {
    server.kill();
    server.start();
  }
  void wait(Nanoseconds time) {
    const TimePoint until = co::SteadyClock{}.now() + time;
    while (co::SteadyClock{}.now() < until) {
      lab.step();
    }
  }

  Folder folder;
  std::string socket = folder.file("nbd.sock");
  std::string file = folder.file("vol");
  Server server;
  Lab lab;
};

// One operation that goes on by itself.
struct Started {
  Started(Site& site, co::Task<IoStatus> task) : group{site.lab.executor()}, lab{site.lab} {
    group.spawn("operation", Lab::store(site.lab.executor(), std::move(task), &status));
  }
  IoStatus end() {
    lab.drain(group);
    return *status;
  }
  bool ended() const { return status.has_value(); }
  std::optional<IoStatus> status;
  co::TaskGroup group;
  Lab& lab;
};

// Ends one of this process' connections to a socket. Returns whether there was one.
inline bool cut_one(const std::string& path) {
  for (int fd = 0; fd < 256; ++fd) {
    sockaddr_un peer{};
    socklen_t length = sizeof peer;
    if (::getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &length) == 0 &&
        peer.sun_family == AF_UNIX && path == peer.sun_path) {
      return ::shutdown(fd, SHUT_RDWR) == 0;
    }
  }
  return false;
}

// Ends the process with 77 if nbdkit is missing.
inline void require_nbdkit() {
  if (!nbd_test::has_program("nbdkit")) {
    std::puts("nbdkit is not installed: ci/deps check installs it");
    std::exit(77);
  }
}

}  // namespace ballast::test
