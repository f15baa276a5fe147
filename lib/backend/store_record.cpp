// SPDX-License-Identifier: Apache-2.0
#include "lib/backend/store_record.h"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <system_error>

#include "lib/base/never_destroyed.h"
#include "lib/base/unique_fd.h"

namespace ballast::backend {
namespace {

constexpr std::size_t largest_record = 16 << 10;
constexpr const char* head =
    "# Ballast recognises the file or device of a LUN by this record. Remove the record\n# only to "
    "let a LUN begin with an empty disk on this path.\n";

// FNV-1a. The hash gives two paths with the same base name different records.
std::uint64_t hash_of(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : text) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  }
  return hash;
}

Error failed(const char* what, const std::string& path, int why) {
  return Error{why, fmt::format("{} {}: {}", path, what, std::strerror(why))};
}

// Reads the file, up to largest_record bytes; a record is much smaller.
Result<std::string> read_all(const std::string& path) {
  const UniqueFd fd{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (!fd) {
    return failed("cannot be opened", path, errno);
  }
  std::string text(largest_record, '\0');
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

bool number(std::string_view text, std::uint64_t& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size();
}

// Takes one line, "key=value". A key that is not known is skipped, because a newer version may have
// written it. Returns false if a number is malformed.
bool take_line(std::string_view line, StoreRecord& record) {
  const std::size_t equals = line.find('=');
  if (line.starts_with('#') || equals == std::string_view::npos) {
    return true;
  }
  const std::string_view key = line.substr(0, equals);
  const std::string_view value = line.substr(equals + 1);
  const std::array<std::pair<std::string_view, std::string*>, 8> texts{{
      {"path", &record.path},
      {"lun", &record.lun},
      {"born", &record.identity.born},
      {"device", &record.identity.device},
      {"file_system", &record.identity.file_system},
      {"mount_point", &record.identity.mount_point},
      {"mounted", &record.identity.mounted},
      {"since", &record.since},
  }};
  for (const auto& [name, text] : texts) {
    if (key == name) {
      *text = value;
    }
  }
  if (key == "kind") {
    record.identity.block_device = value == "block";
  }
  if (key == "inode") {
    return number(value, record.identity.inode);
  }
  std::uint64_t bytes = 0;
  if ((key == "size" || key == "reach") && !number(value, bytes)) {
    return false;
  }
  if (key == "size") {
    record.size = Bytes{bytes};
  } else if (key == "reach") {
    record.reach = Bytes{bytes};
  }
  return true;
}

std::string text_of(const StoreRecord& record) {
  const StoreIdentity& identity = record.identity;
  std::string text = head;
  const auto line = [&text](std::string_view key, std::string_view value) {
    // A name from sysfs or mountinfo may hold a newline, which would break the record; it is left
    // out.
    if (value.find('\n') == std::string_view::npos) {
      text += fmt::format("{}={}\n", key, value);
    }
  };
  line("path", record.path);
  line("lun", record.lun);
  line("size", std::to_string(record.size.value()));
  line("reach", std::to_string(record.reach.value()));
  line("kind", identity.block_device ? "block" : "file");
  line("inode", std::to_string(identity.inode));
  line("born", identity.born);
  line("device", identity.device);
  line("file_system", identity.file_system);
  line("mount_point", identity.mount_point);
  line("mounted", identity.mounted);
  line("since", record.since);
  return text;
}

// Renames `aside` to `file`, or removes it if a later turn was there first. Returns errno, or 0.
int put_in_order(const std::string& aside, const std::string& file, std::uint64_t turn) {
  static std::mutex mutex;
  // Of each file; as many as there were stores. An errand may come here when main() has ended.
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

std::string normal_path(const std::string& path) {
  return std::filesystem::path{path}.lexically_normal().string();
}

std::string timestamp() {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)));
}

std::string StoreRecords::file_of(const std::string& path) const {
  constexpr std::size_t longest_name = 64;
  const std::string normal = normal_path(path);
  std::string name = normal.substr(normal.rfind('/') + 1, longest_name);
  for (char& c : name) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '.' || c == '-' || c == '_';
    c = plain ? c : '_';  // so that a shell needs no quotes
  }
  return fmt::format("{}/{}-{:016x}", folder_, name, hash_of(normal));
}

Result<std::optional<StoreRecord>> StoreRecords::find(const std::string& path) const {
  if (!remembers()) {
    return std::optional<StoreRecord>{};
  }
  const std::string file = file_of(path);
  const Result<std::string> text = read_all(file);
  if (!text) {
    if (text.error().errno_value == ENOENT) {
      return std::optional<StoreRecord>{};
    }
    return text.error();
  }
  StoreRecord record;
  std::string_view left = text.value();
  while (!left.empty()) {
    const std::size_t end = std::min(left.find('\n'), left.size());
    if (!take_line(left.substr(0, end), record)) {
      return Error{EINVAL, fmt::format("{} is damaged", file)};
    }
    left.remove_prefix(std::min(end + 1, left.size()));
  }
  record.reach = std::max(record.reach, record.size);  // an older version knew no reach
  if (record.path != normal_path(path)) {
    return Error{EINVAL, fmt::format("{} is damaged, or belongs to another path", file)};
  }
  return std::optional<StoreRecord>{std::move(record)};
}

std::uint64_t StoreRecords::next_turn() {
  static std::atomic<std::uint64_t> turns{0};
  return ++turns;
}

Result<void> StoreRecords::keep(const StoreRecord& record, std::uint64_t turn) const {
  std::error_code error;
  std::filesystem::create_directories(folder_, error);
  if (error) {
    return failed("cannot be made", folder_, error.value());
  }
  const std::string file = file_of(record.path);
  const std::string aside = fmt::format("{}.new-{}-{}", file, ::getpid(), turn);
  Result<void> written = write_durably(aside, text_of(record));
  if (written) {
    const int why = put_in_order(aside, file, turn);
    written = why == 0 ? Result<void>{} : failed("cannot be renamed", aside, why);
  }
  if (!written) {
    ::unlink(aside.c_str());
    return written;
  }
  const UniqueFd folder{::open(folder_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (!folder || ::fsync(folder.get()) != 0) {
    return failed("cannot be made durable", folder_, errno);
  }
  return {};
}

}  // namespace ballast::backend
