// SPDX-License-Identifier: Apache-2.0
// Keys of the configuration string: <name>=<value>. A part of Ballast that has settings has a
// function keys_of() beside them. It returns their table: the name of each, its values, and whether
// it may change while the LUN is open. Parsing, printing, messages, the manuals and targetcli all
// use this table.
//
// A key refers to the setting that it fills, which must outlive it. Pure functions, any thread.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "lib/base/result.h"
#include "lib/base/units.h"

namespace ballast::config {

struct Word {
  std::string_view word;
  std::uint32_t value;  // outside `least` to `most`, or the word is another name for it
};
struct Number {
  std::uint32_t& setting;
  std::uint32_t least, most;
  std::span<const Word> words = {};
};
struct Size {
  Bytes& setting;
  Bytes least, most, multiple_of;
};
struct Duration {
  Nanoseconds& setting;
  Nanoseconds least, most;
};
// One of a few words. They stand for the enumeration's values 0, 1, 2 …
struct Choice {
  template <class Enum>
  requires(sizeof(Enum) == 1) Choice(Enum& value, std::span<const std::string_view> all)
      : setting{reinterpret_cast<unsigned char&>(value)}, words{all} {}
  unsigned char& setting;
  std::span<const std::string_view> words;
};
struct Path {
  std::string& setting;  // absolute; empty: none
};
// Any text, written as parse_text() in values.h takes it. `what` says what it names: "an address".
struct Text {
  std::string& setting;
  std::string_view what;
};

// A text that stays as it is written, if `check` accepts it; `check` gets the `what` of assign().
struct WrittenText {
  std::string& setting;
  Result<void> (*check)(std::string_view what, std::string_view text);
  std::string_view values;  // in words: "a name in Ceph"
};

struct Key {
  std::string_view name;
  std::variant<Number, Size, Duration, Choice, Path, Text, WrittenText> values;
  bool live = false;  // may be changed while the LUN is in use
};
using Keys = std::vector<Key>;

// Parses `text` into the setting. `what` names the key in the message: "key cache".
Result<void> assign(const Key& key, std::string_view what, std::string_view text);
// The setting, written as assign() takes it. Empty: a path or text that is not set.
std::string format(const Key& key);
// Takes over the setting of `from`, which is the same key of another table.
void copy(const Key& from, const Key& to);
// The values that the key takes: "100ms to 1h", "direct, buffered".
std::string describe_values(const Key& key);

// Null if there is none.
const Key* find(const Keys& keys, std::string_view name);

}  // namespace ballast::config
