// SPDX-License-Identifier: Apache-2.0
#include "lib/base/durable_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <map>
#include <mutex>
#include <system_error>

#include "lib/base/never_destroyed.h"
#include "lib/base/unique_fd.h"

namespace ballast {
namespace {

Error failed(const char* what, const std::string& path, int why) {
  return Error{why, fmt::format("{} {}: {}", path, what, std::strerror(why))};
}

// Renames `aside` to `file`, or removes it if a later turn was there first. Returns errno, or 0.
int put_in_order(const std::string& aside, const std::string& file, std::uint64_t turn) {
  static std::mutex mutex;
  // Of each file; as many as there were stores and LUNs. An errand may come here when main() has
  // ended.
  auto& latest = never_destroyed<std::map<std::string, std::uint64_t>>();
  const std::lock_guard lock{mutex};
  std::uint64_t& last = latest[file];
  if (turn < last) {
    ::unlink(aside.c_str());
    return 0;
  }
  if (::rename(aside.c_str(), file.c_str()) != 0) {
    return errno;
  }
  last = turn;
  return 0;
}

Result<void> write_durably(const std::string& path, const std::string& text) {
  const UniqueFd fd{::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)};
  if (!fd) {
    return failed("cannot be made", path, errno);
  }
  const ssize_t put = ::write(fd.get(), text.data(), text.size());
  if (put != static_cast<ssize_t>(text.size())) {
    return failed("cannot be written", path, put < 0 ? errno : ENOSPC);
  }
  if (::fsync(fd.get()) != 0) {
    return failed("cannot be made durable", path, errno);
  }
  return {};
}

}  // namespace

std::uint64_t next_turn() {
  static std::atomic<std::uint64_t> turns{0};
  return ++turns;
}

Result<void> replace_file(const std::string& folder, const std::string& name,
                          const std::string& text, std::uint64_t turn) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) {
    return failed("cannot be made", folder, error.value());
  }
  const std::string file = folder + "/" + name;
  const std::string aside = fmt::format("{}.new-{}-{}", file, ::getpid(), turn);
  Result<void> written = write_durably(aside, text);
  if (written) {
    const int why = put_in_order(aside, file, turn);
    written = why == 0 ? Result<void>{} : failed("cannot be renamed", aside, why);
  }
  if (!written) {
    ::unlink(aside.c_str());
    return written;
  }
  const UniqueFd made{::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (!made || ::fsync(made.get()) != 0) {
    return failed("cannot be made durable", folder, errno);
  }
  return {};
}

Result<std::string> read_small_file(const std::string& path, std::size_t most) {
  const UniqueFd fd{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (!fd) {
    return failed("cannot be opened", path, errno);
  }
  std::string text(most, '\0');
  std::size_t length = 0;
  while (length < text.size()) {
    const ssize_t got = ::read(fd.get(), text.data() + length, text.size() - length);
    if (got < 0) {
      return failed("cannot be read", path, errno);
    }
    if (got == 0) {
      break;
    }
    length += static_cast<std::size_t>(got);
  }
  text.resize(length);
  return text;
}

}  // namespace ballast
