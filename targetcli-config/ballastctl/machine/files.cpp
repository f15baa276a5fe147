// SPDX-License-Identifier: Apache-2.0
#include "targetcli-config/ballastctl/machine/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <glib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <utility>

namespace ballast::ctl {
namespace {

namespace fs = std::filesystem;
constexpr std::string_view blanks = " \t\r\n";
constexpr const char* run_as_root = ": run it as root";

std::string trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(blanks);
  if (begin == std::string_view::npos) {
    return {};
  }
  return std::string{text.substr(begin, text.find_last_not_of(blanks) - begin + 1)};
}

Error failure(int reason, std::string_view what, const std::string& path) {
  return {reason, fmt::format("{} cannot be {}: {}{}", path, what, std::strerror(reason),
                              reason == EACCES || reason == EPERM ? run_as_root : "")};
}

// Splits a name for sorting, so that "host10" comes after "host9".
std::pair<std::string_view, std::int64_t> by_number(std::string_view name) {
  const std::size_t last = name.find_last_not_of("0123456789");
  const std::size_t digits = last == std::string_view::npos ? 0 : last + 1;
  return {name.substr(0, digits), whole_number(name.substr(digits)).value_or(-1)};
}

}  // namespace

Files Files::of_this_machine() {
  const char* const root = std::getenv("BALLASTCTL_ROOT");
  return Files{root == nullptr ? "" : root};
}

bool Files::exists(std::string_view path) const {
  struct stat status {};
  return ::stat(real(path).c_str(), &status) == 0 || (errno != ENOENT && errno != ENOTDIR);
}

bool Files::is_directory(std::string_view path) const {
  std::error_code ignored;
  return fs::is_directory(real(path), ignored);
}

// Uses read(2) and no stream: if the disk of a sysfs attribute has just gone, the read fails, and a
// stream's buffer then throws.
std::optional<std::string> Files::read(std::string_view path) const {
  const UniqueFd file{::open(real(path).c_str(), O_RDONLY | O_CLOEXEC)};
  std::string content;
  std::array<char, 4096> buffer;
  for (;;) {
    const ssize_t count = ::read(file.get(), buffer.data(), buffer.size());
    if (count == 0) {
      return content;
    }
    if (count > 0) {
      content.append(buffer.data(), static_cast<std::size_t>(count));
    } else if (errno != EINTR) {
      return std::nullopt;  // EISDIR too
    }
  }
}

std::optional<std::string> Files::value(std::string_view path) const {
  const std::optional<std::string> content = read(path);
  if (!content) {
    return std::nullopt;
  }
  return trimmed(std::string_view{*content}.substr(0, content->find('\n')));
}

std::vector<std::string> Files::list(std::string_view directory) const {
  std::vector<std::string> names;
  std::error_code ignored;
  for (fs::directory_iterator entry{real(directory), ignored}, end; entry != end;
       entry.increment(ignored)) {
    names.push_back(entry->path().filename().string());
  }
  std::sort(names.begin(), names.end(), [](const std::string& one, const std::string& other) {
    return by_number(one) < by_number(other);
  });
  return names;
}

std::optional<std::string> Files::resolve(std::string_view path) const {
  std::error_code error;
  std::string found = fs::canonical(real(path), error).string();
  if (error) {
    return std::nullopt;
  }
  if (root_.empty()) {
    return found;
  }
  const std::string root = fs::canonical(root_, error).string();
  if (error || !found.starts_with(root + "/")) {
    return std::nullopt;
  }
  return found.substr(root.size());
}

Result<void> Files::write_value(std::string_view path, std::string_view value) const {
  const UniqueFd file{::open(real(path).c_str(), O_WRONLY | O_CLOEXEC | O_TRUNC)};
  const std::string line = std::string{value} + "\n";
  if (file.get() < 0 ||
      ::write(file.get(), line.data(), line.size()) != static_cast<ssize_t>(line.size())) {
    return failure(errno, fmt::format("set to {}", value), std::string{path});
  }
  return {};
}

Result<void> Files::replace(std::string_view path, std::string_view content,
                            mode_t mode_if_new) const {
  const std::string target = resolve(path).value_or(std::string{path});
  const fs::path file = real(target);
  std::error_code error;
  fs::create_directories(file.parent_path(), error);
  if (error) {
    return failure(error.value(), "written", target);
  }
  struct stat old {};
  const bool known = ::stat(file.c_str(), &old) == 0;
  const mode_t mode = known ? old.st_mode & 07777 : mode_if_new;
  constexpr int flags = G_FILE_SET_CONTENTS_CONSISTENT | G_FILE_SET_CONTENTS_DURABLE;
  g_autoptr(GError) refused = nullptr;
  if (g_file_set_contents_full(file.c_str(), content.data(), static_cast<gssize>(content.size()),
                               static_cast<GFileSetContentsFlags>(flags), static_cast<int>(mode),
                               &refused) == FALSE) {
    const bool denied = refused->code == G_FILE_ERROR_ACCES || refused->code == G_FILE_ERROR_PERM;
    return Error{EIO, fmt::format("{} cannot be written: {}{}", target, refused->message,
                                  denied ? run_as_root : "")};
  }
  // The file that GLib made belongs to this process, and its mode is cut by the umask.
  if ((known && ::chown(file.c_str(), old.st_uid, old.st_gid) != 0) ||
      ::chmod(file.c_str(), mode) != 0) {
    return failure(errno, "given its owner and mode", target);
  }
  return {};
}

Result<void> Files::remove(std::string_view path) const {
  if (::unlink(real(path).c_str()) != 0 && errno != ENOENT) {
    return failure(errno, "removed", std::string{path});
  }
  return {};
}

Result<UniqueFd> Files::lock(std::string_view directory) const {
  std::error_code ignored;
  fs::create_directories(real(directory), ignored);
  UniqueFd folder{::open(real(directory).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (!folder || ::flock(folder.get(), LOCK_EX | LOCK_NB) != 0) {
    return failure(errno, "locked", std::string{directory});
  }
  return folder;
}

std::optional<std::int64_t> whole_number(std::string_view text) {
  const std::string bare = trimmed(text);
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(bare.data(), bare.data() + bare.size(), number);
  if (bare.empty() || error != std::errc{} || end != bare.data() + bare.size()) {
    return std::nullopt;
  }
  return number;
}

}  // namespace ballast::ctl
