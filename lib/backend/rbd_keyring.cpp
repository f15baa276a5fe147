// SPDX-License-Identifier: Apache-2.0
#include "lib/backend/rbd_keyring.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "lib/base/unique_fd.h"

namespace ballast::backend {
namespace {

constexpr std::size_t longest = 65536;

// Whether a line of the file is "[client.<id>]".
bool has_section(std::string_view text, const std::string& section) {
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    while (!line.empty() && std::strchr(" \t\r", line.front()) != nullptr) {
      line.remove_prefix(1);
    }
    if (line.starts_with(section)) {
      return true;
    }
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return false;
}

}  // namespace

std::string keyring_trouble(std::string_view paths, std::string_view id) {
  constexpr std::string_view separators = ",; \t";
  std::string looked_for;
  while (true) {
    const std::size_t begin = paths.find_first_not_of(separators);
    if (begin == std::string_view::npos) {
      break;
    }
    paths.remove_prefix(begin);
    const std::string path{paths.substr(0, paths.find_first_of(separators))};
    paths.remove_prefix(path.size());
    const UniqueFd file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
    if (!file && errno == ENOENT) {
      looked_for += (looked_for.empty() ? "" : ", ") + path;
      continue;
    }
    std::string text(longest, '\0');
    const ssize_t got = file ? ::read(file.get(), text.data(), text.size()) : -1;
    if (got < 0) {
      return fmt::format("the keyring {} cannot be read: {}: make it a file that root can read",
                         path, std::strerror(errno));
    }
    text.resize(static_cast<std::size_t>(got));
    const std::string section = fmt::format("[client.{}]", id);
    if (!has_section(text, section)) {
      return fmt::format(
          "the keyring {} has no key of client.{}: add it (\"ceph auth get client.{}\"), or name "
          "another user with ;id=",
          path, id, id);
    }
    return {};
  }
  return fmt::format(
      "there is no keyring with client.{}; Ballast looked for {}: create it with \"ceph "
      "auth get-or-create client.{}\"",
      id, looked_for.empty() ? "none" : looked_for, id);
}

}  // namespace ballast::backend
