// SPDX-License-Identifier: Apache-2.0
#include "lib/base/config.h"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <optional>
#include <span>
#include <utility>
#include <variant>

namespace ballast::config {
namespace {

using namespace std::chrono_literals;

// --- the tables: a new key is one line in `keys`, and its field in LunConfig ---------------------

struct SchemeRow {
  std::string_view name;
  Scheme scheme;
  bool takes_path;
};
constexpr std::array schemes{
    SchemeRow{"file", Scheme::file, true},
    SchemeRow{"memory", Scheme::memory, false},
    SchemeRow{"null", Scheme::null, false},
};

template <class T>
struct Word {
  std::string_view text;
  T value;
};
constexpr std::array cache_words{Word<CacheMode>{"direct", CacheMode::direct},
                                 Word<CacheMode>{"buffered", CacheMode::buffered}};

struct CacheField {
  CacheMode LunConfig::*member;
};
struct NumberField {
  std::uint32_t LunConfig::*member;
  std::uint32_t least, most;
  std::string_view zero = {};  // the word for 0, where there is one
};
struct BytesField {
  Bytes LunConfig::*member;
  std::uint64_t least, most, multiple_of;
};
struct DurationField {
  Nanoseconds LunConfig::*member;
  Nanoseconds least, most;
};
struct PathField {
  std::string LunConfig::*member;
};

struct KeyRow {
  std::string_view name;
  std::variant<CacheField, NumberField, BytesField, DurationField, PathField> field;
  std::optional<Scheme> only_for = std::nullopt;
  bool live = false;  // may be changed while the LUN is in use
};
constexpr KeyRow limit(std::string_view name, Nanoseconds Limits::*member, Nanoseconds least,
                       Nanoseconds most) {
  return {name, DurationField{member, least, most}, std::nullopt, true};
}
constexpr std::uint64_t KiB = 1024;
constexpr std::uint64_t MiB = 1024 * KiB;
constexpr std::array keys{
    KeyRow{"cache", CacheField{&LunConfig::cache}, Scheme::file},
    // A multiple of 4096 is one of every block size; 32 MiB bound what a single command may hold.
    KeyRow{"write_same_max", BytesField{&LunConfig::write_same_max, 4 * KiB, 32 * MiB, 4 * KiB}},
    KeyRow{"queue_depth", NumberField{&LunConfig::queue_depth, 1, 1024}},
    limit("deadline", &Limits::deadline, 100ms, 1h),
    limit("slow", &Limits::slow, 1ms, 1h),
    limit("stall_after", &Limits::stall_after, 10ms, 1h),
    KeyRow{"stall_window", NumberField{&LunConfig::stall_window, 1, 1024, "auto"}, std::nullopt,
           true},
    limit("busy_for", &Limits::busy_for, 1s, 24h),
    KeyRow{"fault", PathField{&LunConfig::fault_control}},
};

// --- messages
// -------------------------------------------------------------------------------------

constexpr std::string_view examples = "file=/srv/vol0.raw, memory or null";

template <class... Args>
Error invalid(fmt::format_string<Args...> format, Args&&... args) {
  return Error{EINVAL, fmt::format(format, std::forward<Args>(args)...)};
}

std::string known_schemes() {
  std::string list;
  for (const SchemeRow& row : schemes) {
    list += fmt::format("{}{}", list.empty() ? "" : ", ", row.name);
  }
  return list;
}

std::string known_keys() {
  std::string list;
  for (const KeyRow& row : keys) {
    list += fmt::format("{}{}", list.empty() ? "" : ", ", row.name);
  }
  return list;
}

// The length of the UTF-8 sequence of a printable character at the front of `text`; 0 if none.
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

// --- single values -------------------------------------------------------------------------------

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

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// `text` is digits followed by one of `units`; `hint` says so in words. The product stays within
// `most`.
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
        return invalid("{}: {} is too large to be counted", what, quote(text));
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

template <class T, std::size_t N>
Result<T> parse_word(std::string_view what, std::string_view text,
                     const std::array<Word<T>, N>& words) {
  std::string list;
  for (const Word<T>& word : words) {
    if (text == word.text) {
      return word.value;
    }
    list += fmt::format("{}{}", list.empty() ? "" : " or ", word.text);
  }
  if (text.empty()) {
    return invalid("{} has no value: write {}", what, list);
  }
  return invalid("{}: {} is not a value it knows: write {}", what, quote(text), list);
}

Result<void> check_path(std::string_view what, std::string_view path) {
  if (path.front() != '/') {
    return invalid("{} {} is relative: write it from the root, as in /srv/vol0.raw", what,
                   quote(path));
  }
  return {};
}

// --- fields
// ---------------------------------------------------------------------------------------

struct Assign {
  LunConfig& config;
  const std::string what;  // "key cache"
  std::string_view text;

  Result<void> operator()(const CacheField& field) const {
    const Result<CacheMode> mode = parse_word(what, text, cache_words);
    if (!mode) {
      return mode.error();
    }
    config.*field.member = mode.value();
    return {};
  }
  Result<void> operator()(const NumberField& field) const {
    if (!field.zero.empty() && text == field.zero) {
      config.*field.member = 0;
      return {};
    }
    const Result<std::uint64_t> number = parse_number(what, text);
    if (!number) {
      return number.error();
    }
    if (number.value() < field.least || number.value() > field.most) {
      return invalid("{}: {} is out of range: it may be {}{}{} to {}", what, number.value(),
                     field.zero, field.zero.empty() ? "" : " or ", field.least, field.most);
    }
    config.*field.member = static_cast<std::uint32_t>(number.value());
    return {};
  }
  Result<void> operator()(const BytesField& field) const {
    const Result<Bytes> bytes = parse_bytes(what, text);
    if (!bytes) {
      return bytes.error();
    }
    const std::uint64_t value = bytes.value().value();
    if (value < field.least || value > field.most) {
      return invalid("{}: {} is out of range: it may be {} to {}", what, text,
                     format_bytes(Bytes{field.least}), format_bytes(Bytes{field.most}));
    }
    if (value % field.multiple_of != 0) {
      return invalid("{}: {} is not a multiple of {}", what, text,
                     format_bytes(Bytes{field.multiple_of}));
    }
    config.*field.member = bytes.value();
    return {};
  }
  Result<void> operator()(const DurationField& field) const {
    const Result<Nanoseconds> duration = parse_duration(what, text);
    if (!duration) {
      return duration.error();
    }
    if (duration.value() < field.least || duration.value() > field.most) {
      return invalid("{}={} is out of range: it may be {} to {}", what, text,
                     format_duration(field.least), format_duration(field.most));
    }
    config.*field.member = duration.value();
    return {};
  }
  Result<void> operator()(const PathField& field) const {
    if (text.empty()) {
      return invalid("{} has no value: write an absolute path", what);
    }
    if (const Result<void> path = check_path(what, text); !path) {
      return path;
    }
    config.*field.member = std::string{text};
    return {};
  }
};

struct Format {
  const LunConfig& config;
  std::string operator()(const CacheField& field) const {
    for (const Word<CacheMode>& word : cache_words) {
      if (word.value == config.*field.member) {
        return std::string{word.text};
      }
    }
    return {};
  }
  std::string operator()(const NumberField& field) const {
    if (!field.zero.empty() && config.*field.member == 0) {
      return std::string{field.zero};
    }
    return std::to_string(config.*field.member);
  }
  std::string operator()(const BytesField& field) const {
    return format_bytes(config.*field.member);
  }
  std::string operator()(const DurationField& field) const {
    return format_duration(config.*field.member);
  }
  std::string operator()(const PathField& field) const { return config.*field.member; }
};

// What may stand behind the '='.
struct Values {
  std::string operator()(const CacheField&) const {
    std::string list;
    for (const Word<CacheMode>& word : cache_words) {
      list += fmt::format("{}{}", list.empty() ? "" : ", ", word.text);
    }
    return list;
  }
  std::string operator()(const NumberField& field) const {
    return fmt::format("{}{}{} to {}", field.zero, field.zero.empty() ? "" : ", ", field.least,
                       field.most);
  }
  std::string operator()(const BytesField& field) const {
    return fmt::format("{} to {}", format_bytes(Bytes{field.least}),
                       format_bytes(Bytes{field.most}));
  }
  std::string operator()(const DurationField& field) const {
    return fmt::format("{} to {}", format_duration(field.least), format_duration(field.most));
  }
  std::string operator()(const PathField&) const { return "a path"; }
};

// --- the string
// -----------------------------------------------------------------------------------

Result<void> check_characters(std::string_view text) {
  if (text.empty()) {
    return invalid("the configuration is empty: write cfgstring={}", examples);
  }
  if (text.size() > longest_string) {
    const std::size_t target = text.substr(0, text.find(';')).size();
    if (target > longest_string) {
      return Error{ENAMETOOLONG,
                   fmt::format("the path is too long: {} takes {} characters, and the kernel keeps "
                               "{} for the whole configuration: use a shorter path or a symbolic "
                               "link",
                               quote(text), target, longest_string)};
    }
    return Error{ENAMETOOLONG,
                 fmt::format("the configuration is too long: {} characters, and the kernel keeps "
                             "{}: use a shorter path or fewer keys",
                             text.size(), longest_string)};
  }
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte < 0x20U || byte == 0x7FU) {
      return invalid("there is a control character (0x{:02x}) at position {} of {}: remove it",
                     byte, i + 1, quote(text));
    }
    if (byte == ',') {
      return invalid(
          "there is a comma at position {} of {}, where the kernel would cut the "
          "configuration off: use a name without one, and ';' between keys",
          i + 1, quote(text));
    }
  }
  return {};
}

Result<LunConfig> parse_target(std::string_view target) {
  const bool bare_path = target.starts_with('/');
  const std::size_t separator = bare_path ? std::string_view::npos : target.find_first_of(":=");
  const std::string_view name = bare_path ? "file" : target.substr(0, separator);
  const std::string_view rest = bare_path ? target
                                : separator == std::string_view::npos
                                    ? std::string_view{}
                                    : target.substr(separator + 1);
  for (const SchemeRow& row : schemes) {
    if (row.name != name) {
      continue;
    }
    LunConfig config;
    config.scheme = row.scheme;
    if (!row.takes_path && !rest.empty()) {
      return invalid("{} stands alone, but {} follows it: remove that", name, quote(rest));
    }
    if (row.takes_path) {
      if (rest.empty()) {
        return invalid("{} has no path: write {}=/srv/vol0.raw", name, name);
      }
      if (const Result<void> path = check_path("the path", rest); !path) {
        return path.error();
      }
      config.path = std::string{rest};
    }
    return config;
  }
  if (separator == std::string_view::npos) {
    return invalid("{} does not begin with a scheme: write {}", quote(target), examples);
  }
  return invalid("unknown scheme {} in {}: known are {}", quote(name), quote(target),
                 known_schemes());
}

Result<void> parse_key(std::string_view text, LunConfig& config,
                       std::array<bool, keys.size()>& seen) {
  if (text.empty()) {
    return invalid("there is an empty setting between two ';': remove one of them");
  }
  const std::size_t equals = text.find('=');
  const std::string_view name = text.substr(0, equals);
  if (name == "tcmur_cmd_time_out") {
    return invalid(
        "tcmur_cmd_time_out is the daemon's own setting and does not work with ballast: "
        "remove it");
  }
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const KeyRow& row = keys[i];
    if (row.name != name) {
      continue;
    }
    if (equals == std::string_view::npos) {
      return invalid("key {} has no '=': write {}=<value>", name, name);
    }
    if (std::exchange(seen[i], true)) {
      return invalid("key {} is there twice: keep one", name);
    }
    if (row.only_for.has_value() && *row.only_for != config.scheme) {
      return invalid("key {} belongs to {} and means nothing to {}", name, to_string(*row.only_for),
                     to_string(config.scheme));
    }
    return std::visit(Assign{config, fmt::format("key {}", name), text.substr(equals + 1)},
                      row.field);
  }
  if (equals == std::string_view::npos) {
    return invalid(
        "{} after the ';' is no setting: a setting is <key>=<value>, and the path of a "
        "volume must not contain ';' (known keys are {})",
        quote(text), known_keys());
  }
  return invalid("unknown key {}: known are {}", quote(name), known_keys());
}

// A threshold that comes after the answer would never be seen.
Result<void> check_order(const LunConfig& config) {
  const std::array thresholds{std::pair{"slow", config.slow},
                              std::pair{"stall_after", config.stall_after}};
  for (const auto& [name, value] : thresholds) {
    if (value >= config.deadline) {
      return invalid("key {}: {} is not below the deadline of {}: set {} lower, or deadline higher",
                     name, format_duration(value), format_duration(config.deadline), name);
    }
  }
  return {};
}

}  // namespace

Result<LunConfig> parse(std::string_view text) {
  if (const Result<void> characters = check_characters(text); !characters) {
    return characters.error();
  }
  std::size_t end = text.find(';');
  Result<LunConfig> config = parse_target(text.substr(0, end));
  std::array<bool, keys.size()> seen{};
  while (config && end != std::string_view::npos && end + 1 < text.size()) {
    const std::size_t begin = end + 1;
    end = text.find(';', begin);
    const std::size_t length = end == std::string_view::npos ? end : end - begin;
    if (const Result<void> key = parse_key(text.substr(begin, length), config.value(), seen);
        !key) {
      return key.error();
    }
  }
  if (config) {
    if (const Result<void> order = check_order(config.value()); !order) {
      return order.error();
    }
  }
  return config;
}

Limits limits_of(std::string_view text) {
  LunConfig config;
  for (std::size_t end = text.find(';'); end != std::string_view::npos;) {
    text.remove_prefix(end + 1);
    end = text.find(';');
    const std::string_view key = text.substr(0, end);
    const std::size_t equals = key.find('=');
    for (const KeyRow& row : keys) {
      if (row.live && equals != std::string_view::npos && row.name == key.substr(0, equals)) {
        (void)std::visit(Assign{config, "", key.substr(equals + 1)}, row.field);
      }
    }
  }
  return config;
}

std::vector<KeyText> describe_keys() {
  std::vector<KeyText> all;
  const LunConfig defaults;
  for (const KeyRow& row : keys) {
    std::string usual = std::visit(Format{defaults}, row.field);
    all.push_back({row.name, std::visit(Values{}, row.field), usual.empty() ? "none" : usual});
  }
  return all;
}

std::string live_keys() {
  std::string list;
  for (std::size_t i = keys.size(); i-- > 0;) {
    if (keys[i].live) {
      const bool last = list.empty();
      const bool second_last = !last && list.find(' ') == std::string::npos;
      list = fmt::format("{}{}{}", keys[i].name, last ? "" : second_last ? " and " : ", ", list);
    }
  }
  return list;
}

std::string to_string(const LunConfig& config) {
  std::string text = to_string(config.scheme);
  if (!config.path.empty()) {
    text += "=" + config.path;
  }
  const LunConfig defaults;
  for (const KeyRow& row : keys) {
    const std::string value = std::visit(Format{config}, row.field);
    if (value != std::visit(Format{defaults}, row.field)) {
      text += fmt::format(";{}={}", row.name, value);
    }
  }
  return text;
}

const char* to_string(Scheme scheme) noexcept {
  for (const SchemeRow& row : schemes) {
    if (row.scheme == scheme) {
      return row.name.data();  // a literal
    }
  }
  return "unknown";
}

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

}  // namespace ballast::config
