// SPDX-License-Identifier: Apache-2.0
// Reads objects of a dead process by the anatomy that it carries (lib/base/anatomy.h).
//
// Nothing here trusts the memory: an object that cannot be read is none, a list has an end, and a
// number that cannot be right is 0. The Reader collects a sentence for each thing that was not as
// it should be, a few at most. Single-threaded.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "lib/base/units.h"
#include "targetcli-config/ballastctl/core/core_file.h"

namespace ballast::ctl::core {

class Reader;

// A time that was read, as near to 0 as times are.
TimePoint believable(TimePoint time);

// A copy of one object.
class Object {
 public:
  Reader& reader() const { return *reader_; }
  std::uint64_t address() const { return address_; }
  std::uint64_t size() const { return bytes_.size(); }
  std::uint64_t address_of(std::string_view field) const;
  // Where the type of what is there, or of what a pointer there points to, is described.
  std::uint64_t type_of(std::string_view field) const;

  // A member that is a number of up to 8 bytes, a bool, an enum, or a pointer.
  std::uint64_t number(std::string_view field) const;
  bool flag(std::string_view field) const { return number(field) != 0; }
  // Times are far from the ends of their type, so one can be taken from another.
  TimePoint time(std::string_view field) const;
  Nanoseconds duration(std::string_view field) const { return time(field).since_start; }
  std::span<const std::byte> raw(std::string_view field) const;
  // A pointer to a text that ends with zero; and a std::string. Unreadable: "".
  std::string text(std::string_view field) const;
  std::string string(std::string_view field) const;

  // An object within this one; one that a pointer points to (nothing: it is null, or cannot be
  // read); a list, by the pointer to the next in its members.
  std::optional<Object> part(std::string_view field) const;
  std::optional<Object> target(std::string_view field) const;
  std::vector<Object> list(std::string_view first, std::string_view next = "next") const;

 private:
  friend class Reader;
  struct Field {
    std::uint64_t type;
    std::uint32_t offset;
    std::uint32_t size;
  };
  struct Type {
    std::string name;
    std::uint32_t size;
    std::unordered_map<std::string, Field> fields;
  };
  Object(Reader& reader, const Type& type, std::uint64_t address, std::vector<std::byte> bytes)
      : reader_{&reader}, type_{&type}, address_{address}, bytes_{std::move(bytes)} {}
  const Field* field(std::string_view name) const;

  Reader* reader_;
  const Type* type_;
  std::uint64_t address_;
  std::vector<std::byte> bytes_;
};

class Reader {
 public:
  static constexpr std::size_t longest_text = 4096;
  static constexpr std::size_t longest_list = 65536;
  static constexpr std::size_t largest_list = std::size_t{64} << 20;  // bytes
  static constexpr std::size_t largest_object = 65536;
  static constexpr std::size_t most_notes = 20;

  // `core` outlives it.
  explicit Reader(const CoreFile& core) : core_{core} {}
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  // The object at `address`, whose type is described at `type`.
  std::optional<Object> object(std::uint64_t address, std::uint64_t type);
  // The name of the type that is described at `type`; empty: none is.
  std::string name_of_type(std::uint64_t type);

  // Copies what is at `address`. Returns false if the core file does not have all of it.
  bool bytes(std::uint64_t address, std::span<std::byte> to) const {
    return core_.read(address, to);
  }
  std::optional<std::uint64_t> word(std::uint64_t address) const;
  // The text at `address`, up to its zero, `longest` bytes at most. Nothing: it cannot be read.
  std::optional<std::string> text(std::uint64_t address, std::size_t longest = 256) const;
  // The text at `address` as it is.
  std::optional<std::string> characters(std::uint64_t address, std::uint64_t length) const;

  // Keeps `text` for as long as this lives.
  const char* keep(const std::string& text) { return kept_.insert(text).first->c_str(); }

  // A sentence without its end, for a person. Said once.
  void note(std::string sentence);
  const std::vector<std::string>& notes() const { return notes_; }

 private:
  const Object::Type* type_at(std::uint64_t address);

  const CoreFile& core_;
  std::unordered_map<std::uint64_t, std::optional<Object::Type>> types_;
  std::set<std::string> kept_;
  std::vector<std::string> notes_;
};

}  // namespace ballast::ctl::core
