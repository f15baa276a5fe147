// SPDX-License-Identifier: Apache-2.0
#include "lib/base/values.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <span>
#include <utility>

namespace ballast::config {
namespace {

constexpr std::uint64_t KiB = 1024;
constexpr std::uint64_t MiB = 1024 * KiB;

template <class... Args>
Error invalid(fmt::format_string<Args...> format, Args&&... args) {
  return Error{EINVAL, fmt::format(format, std::forward<Args>(args)...)};
}

// The length of the UTF-8 sequence at the front of `text`; 0 if that is no printable character.
std::size_t printable_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const auto continues = [&](std::size_t i) {
    return i < text.size() && (byte(i) & 0xC0U) == 0x80U;
  };
  const unsigned char first = byte(0);
  if (first < 0x80U) {
    return first >= 0x20U && first != 0x7FU ? 1 : 0;
  }
  if (first >= 0xC2U && first <= 0xDFU) {
    // U+0080 to U+009F are control characters.
    return continues(1) && (first != 0xC2U || byte(1) >= 0xA0U) ? 2 : 0;
  }
  if (first >= 0xE0U && first <= 0xEFU && continues(1) && continues(2)) {
    const bool overlong = first == 0xE0U && byte(1) < 0xA0U;
    const bool surrogate = first == 0xEDU && byte(1) >= 0xA0U;
    return overlong || surrogate ? 0 : 3;
  }
  if (first >= 0xF0U && first <= 0xF4U && continues(1) && continues(2) && continues(3)) {
    const bool overlong = first == 0xF0U && byte(1) < 0x90U;
    const bool too_large = first == 0xF4U && byte(1) >= 0x90U;
    return overlong || too_large ? 0 : 4;
  }
  return 0;
}

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};
constexpr std::array byte_units{Unit{"TiB", MiB* MiB}, Unit{"GiB", MiB* KiB}, Unit{"MiB", MiB},
                                Unit{"KiB", KiB}, Unit{"", 1}};
constexpr std::array time_units{
    Unit{"h", 3'600'000'000'000}, Unit{"min", 60'000'000'000}, Unit{"s", 1'000'000'000},
    Unit{"ms", 1'000'000},        Unit{"us", 1'000},
};

// The value of a hexadecimal digit; -1 if it is none.
int hex_digit(char c) {
  constexpr std::string_view lower = "0123456789abcdef";
  constexpr std::string_view upper = "0123456789ABCDEF";
  const std::size_t at = std::min(lower.find(c), upper.find(c));
  return at == std::string_view::npos ? -1 : static_cast<int>(at);
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// Parses digits followed by one of `units`; `hint` says so in words. A product above `most` is an
// error.
Result<std::uint64_t> parse_scaled(std::string_view what, std::string_view text,
                                   std::span<const Unit> units, std::uint64_t most,
                                   std::string_view hint) {
  if (text.empty()) {
    return invalid("{} has no value: {}", what, hint);
  }
  std::size_t digits = 0;
  std::uint64_t number = 0;
  bool overflow = false;
  for (; digits < text.size() && is_digit(text[digits]); ++digits) {
    const auto digit = static_cast<std::uint64_t>(text[digits] - '0');
    overflow = overflow || number > (most - digit) / 10;
    number = overflow ? 0 : number * 10 + digit;
  }
  if (digits == 0) {
    return invalid("{}: {} does not begin with a digit: {}", what, quote(text), hint);
  }
  const std::string_view suffix = text.substr(digits);
  for (const Unit& unit : units) {
    if (suffix == unit.name) {
      if (overflow || number > most / unit.factor) {
        return invalid("{}: {} is too large", what, quote(text));
      }
      return number * unit.factor;
    }
  }
  for (const Unit& unit : units) {
    if (!unit.name.empty() && suffix.starts_with(unit.name)) {
      return invalid("{}: {} stands after the value in {}: remove it", what,
                     quote(suffix.substr(unit.name.size())), quote(text));
    }
  }
  if (suffix.empty()) {
    return invalid("{}: {} has no unit: {}", what, quote(text), hint);
  }
  return invalid("{}: bad unit {} in {}: {}", what, quote(suffix), quote(text), hint);
}

}  // namespace

Result<std::uint64_t> parse_number(std::string_view what, std::string_view text) {
  constexpr std::array plain{Unit{"", 1}};
  return parse_scaled(what, text, plain, UINT64_MAX, "write a whole number");
}

Result<Bytes> parse_bytes(std::string_view what, std::string_view text) {
  const Result<std::uint64_t> bytes = parse_scaled(
      what, text, byte_units, INT64_MAX, "write bytes, or a number with KiB, MiB, GiB or TiB");
  if (!bytes) {
    return bytes.error();
  }
  return Bytes{bytes.value()};
}

Result<Nanoseconds> parse_duration(std::string_view what, std::string_view text) {
  const Result<std::uint64_t> duration = parse_scaled(
      what, text, time_units, INT64_MAX, "write a number with us, ms, s, min or h, as in 20s");
  if (!duration) {
    return duration.error();
  }
  return Nanoseconds{static_cast<std::int64_t>(duration.value())};
}

Result<std::string> parse_text(std::string_view what, std::string_view text) {
  std::string meant;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      meant += text[i];
      continue;
    }
    const int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
    const int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
    if (high < 0 || low < 0) {
      return invalid(
          "{}: the '%' in {} is not followed by two hexadecimal digits: write %25 for a '%' itself",
          what, quote(text));
    }
    meant += static_cast<char>(high * 16 + low);
    i += 2;
  }
  for (std::string_view rest = meant; !rest.empty();) {
    const std::size_t length = printable_length(rest);
    if (length == 0) {
      return invalid("{}: {} has a byte that is not printable UTF-8: remove it", what,
                     quote(meant));
    }
    rest.remove_prefix(length);
  }
  return meant;
}

std::string format_text(std::string_view text) {
  constexpr std::string_view special = "%:,;";
  std::string written;
  for (const char c : text) {
    if (special.find(c) == std::string_view::npos) {
      written += c;
    } else {
      written += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return written;
}

std::string format_bytes(Bytes bytes) {
  for (const Unit& unit : byte_units) {
    if (bytes.value() != 0 && bytes.value() % unit.factor == 0) {
      return fmt::format("{}{}", bytes.value() / unit.factor, unit.name);
    }
  }
  return "0";
}

std::string format_duration(Nanoseconds duration) {
  const auto count = static_cast<std::uint64_t>(duration.count());
  for (const Unit& unit : time_units) {
    if (count != 0 && count % unit.factor == 0) {
      return fmt::format("{}{}", count / unit.factor, unit.name);
    }
  }
  return fmt::format("{}us", count / 1000);
}

std::string quote(std::string_view text) {
  constexpr std::size_t longest = 80;
  std::string quoted = "\"";
  while (!text.empty()) {
    if (quoted.size() > longest) {
      quoted += "…";
      break;
    }
    const std::size_t length = printable_length(text);
    if (length > 0) {
      quoted += text.substr(0, length);
      text.remove_prefix(length);
    } else {
      quoted += fmt::format("\\x{:02x}", static_cast<unsigned char>(text.front()));
      text.remove_prefix(1);
    }
  }
  return quoted + '"';
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    const std::size_t end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) {
      return parts;
    }
    text.remove_prefix(end + 1);
  }
}

}  // namespace ballast::config
