// SPDX-License-Identifier: Apache-2.0
#include "lib/backend/store_record.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <string>
#include <string_view>

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
  const Result<std::string> text = read_small_file(file, largest_record);
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

Result<void> StoreRecords::keep(const StoreRecord& record, std::uint64_t turn) const {
  const std::string file = file_of(record.path);
  return replace_file(folder_, file.substr(folder_.size() + 1), text_of(record), turn);
}

}  // namespace ballast::backend
