// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "lib/base/unique_fd.h"
#include "targetcli-config/ballastctl/watch/incidents.h"

namespace ballast::ctl::incidents {
namespace {

Error failure(const char* what, const std::string& path) {
  const int reason = errno;
  return {reason, fmt::format("{} cannot be {}: {}{}", path, what, std::strerror(reason),
                              reason == EACCES ? ": run it as root" : "")};
}

bool ends_within_a_line(int file, off_t size) {
  char last = '\n';
  return size > 0 && ::pread(file, &last, 1, size - 1) == 1 && last != '\n';
}

void add_lines(const std::string& text, IncidentFile::Read* into) {
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line = std::string_view{text}.substr(begin, end - begin);
    begin = end + 1;
    auto incident = Incident::parse(line, nullptr, false);
    // What a reader relies on.
    const bool good = incident.is_object() && incident.value("version", Incident{}) == 1 &&
                      incident.value("lun", Incident{}).is_string() &&
                      incident.value("since", Incident{}).is_string() &&
                      incident.value("since_unix_ms", Incident{}).is_number_integer() &&
                      incident.value("seconds", Incident{}).is_number();
    if (good) {
      into->incidents.push_back(std::move(incident));
    } else if (!line.empty()) {
      ++into->unreadable;
    }
  }
}

// At most twice the largest: a file of this kind does not grow beyond it by much.
Result<std::string> content(const std::string& path) {
  const UniqueFd file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (!file) {
    return errno == ENOENT ? Result<std::string>{std::string{}} : failure("read", path);
  }
  std::string text;
  std::array<char, 65536> buffer;
  while (text.size() < 2 * IncidentFile::largest) {
    const ssize_t count = ::read(file.get(), buffer.data(), buffer.size());
    if (count < 0 && errno != EINTR) {
      return failure("read", path);
    }
    if (count == 0) {
      break;
    }
    text.append(buffer.data(), static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
  }
  return text;
}

}  // namespace

Result<void> IncidentFile::append(const Incident& incident) const {
  struct stat now {};
  if (::stat(path_.c_str(), &now) == 0 && static_cast<std::uint64_t>(now.st_size) >= largest &&
      std::rename(path_.c_str(), old_path().c_str()) != 0) {
    return failure("renamed", path_);
  }
  const UniqueFd file{::open(path_.c_str(), O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0640)};
  if (!file || ::fstat(file.get(), &now) != 0) {
    return failure("written", path_);
  }
  const std::string line = (ends_within_a_line(file.get(), now.st_size) ? "\n" : "") +
                           incident.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) +
                           "\n";
  const ssize_t written = ::write(file.get(), line.data(), line.size());
  if (written != static_cast<ssize_t>(line.size())) {
    if (written >= 0) {
      errno = ENOSPC;  // a part of it was written: the next line begins anew
    }
    return failure("written", path_);
  }
  return {};
}

Result<IncidentFile::Read> IncidentFile::read() const {
  Read all;
  for (const std::string& path : {old_path(), path_}) {
    const Result<std::string> text = content(path);
    if (!text) {
      return text.error();
    }
    add_lines(text.value(), &all);
  }
  return all;
}

}  // namespace ballast::ctl::incidents
