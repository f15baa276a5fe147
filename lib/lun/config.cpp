// SPDX-License-Identifier: Apache-2.0
#include "lib/lun/config.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <map>
#include <set>
#include <utility>

#include "lib/base/values.h"

namespace ballast::lun {
namespace {

using backend::Kind;
using config::Key;
using config::Keys;
using config::quote;

template <class... Args>
Error invalid(fmt::format_string<Args...> format, Args&&... args) {
  return Error{EINVAL, fmt::format(format, std::forward<Args>(args)...)};
}

constexpr Bytes operator""_KiB(unsigned long long count) {
  return Bytes{count * 1024};
}

Keys keys_of(LunConfig& config) {
  Keys keys = backend::keys_of(config.store);
  for (const Key& key : write_log::keys_of(config.log)) {
    keys.push_back(key);
  }
  for (const Key& key : backend::keys_of(config.elevator)) {
    keys.push_back(key);
  }
  keys.push_back({"profile", config::WrittenText{config.profile, check_profile_name,
                                                 "a name in ballast.conf"}});
  keys.push_back({"copy_group", config::WrittenText{config.copy_group, check_profile_name,
                                                    "the name of a group"}});
  // A multiple of 4096 is a multiple of every block size. 32 MiB bounds the work of one command.
  keys.push_back({"write_same_max", config::Size{config.write_same_max, 4_KiB, 32768_KiB, 4_KiB}});
  constexpr Bytes most_room{std::uint64_t{1} << 50};
  keys.push_back(
      {"soft_threshold", config::Size{config.soft_threshold, Bytes{}, most_room, Bytes{1}}, true});
  keys.push_back({"queue_depth", config::Number{config.queue_depth, 1, 1024}});
  static constexpr std::array poll_words{config::Word{"off", poll_off},
                                         config::Word{"auto", poll_auto}};
  keys.push_back({"poll", config::Number{config.poll, 1, 100, poll_words}, true});
  for (const Key& key : config::keys_of(static_cast<config::Limits&>(config))) {
    keys.push_back(key);
  }
  return keys;
}

// Returns "a, b or c" if `last` is " or ".
std::string list(const std::vector<std::string_view>& items, std::string_view last) {
  std::string text;
  for (std::size_t i = 0; i < items.size(); ++i) {
    text += i == 0 ? "" : i + 1 == items.size() ? last : ", ";
    text += items[i];
  }
  return text;
}

std::string examples() {
  std::vector<std::string_view> all;
  for (const Kind& kind : backend::kinds()) {
    all.push_back(kind.example);
  }
  return list(all, " or ");
}

std::string known_kinds() {
  std::vector<std::string_view> all;
  for (const Kind& kind : backend::kinds()) {
    all.push_back(kind.name);
  }
  return list(all, ", ");
}

std::string known_keys(const Keys& keys) {
  std::vector<std::string_view> all;
  for (const Key& key : keys) {
    all.push_back(key.name);
  }
  return list(all, ", ");
}

Result<void> check_characters(std::string_view text) {
  if (text.empty()) {
    return invalid("the configuration is empty: write cfgstring={}", examples());
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

Result<void> parse_target(std::string_view text, backend::StoreConfig& store) {
  const bool bare_path = text.starts_with('/');
  const std::size_t separator = bare_path ? std::string_view::npos : text.find_first_of(":=");
  const std::string_view name = bare_path ? "file" : text.substr(0, separator);
  std::string_view target;
  if (bare_path) {
    target = text;
  } else if (separator != std::string_view::npos) {
    target = text.substr(separator + 1);
  }
  const Kind* const kind = backend::find_kind(name);
  if (kind == nullptr && separator == std::string_view::npos) {
    return invalid("{} does not begin with a kind of store: write {}", quote(text), examples());
  }
  if (kind == nullptr) {
    return invalid("unknown kind of store {} in {}: known are {}", quote(name), quote(text),
                   known_kinds());
  }
  store.kind = kind;
  if (kind->target == nullptr) {
    return target.empty() ? Result<void>{}
                          : invalid("{} takes no target: remove {}", name, quote(target));
  }
  const Key key = kind->target(store);
  if (target.empty()) {
    return invalid("{} has no {}: write {}", name, key.name, kind->example);
  }
  return config::assign(key, fmt::format("the {}", key.name), target);
}

// The kinds of store that know the key.
std::vector<std::string_view> kinds_with(std::string_view name) {
  std::vector<std::string_view> with;
  for (const Kind& kind : backend::kinds()) {
    backend::StoreConfig other;
    other.kind = &kind;
    if (config::find(backend::keys_of(other), name) != nullptr) {
      with.push_back(kind.name);
    }
  }
  return with;
}

// The error for a key that this configuration does not know.
Error unknown_key(std::string_view name, const LunConfig& config, const Keys& keys) {
  if (const std::vector<std::string_view> with = kinds_with(name); !with.empty()) {
    return invalid("key {} can be used with {} only, not with {}: remove it", name,
                   list(with, " or "), config.store.kind->name);
  }
  return invalid("unknown key {}: known are {}", quote(name), known_keys(keys));
}

// A configuration that is being put together, and which part of it has given each setting.
class Parser {
 public:
  Result<void> parse_string(std::string_view text);
  Result<void> take(const Profiles& profiles);
  Result<void> check() const;

  LunConfig config;
  Keys keys;
  std::map<std::string_view, std::string> from;  // by key; empty: Ballast's default

 private:
  Result<void> parse_key(std::string_view text);
  Result<void> take(const Profile& profile, const std::string& path);
};

Result<void> Parser::parse_string(std::string_view text) {
  if (const Result<void> characters = check_characters(text); !characters) {
    return characters.error();
  }
  std::size_t end = text.find(';');
  if (const Result<void> target = parse_target(text.substr(0, end), config.store); !target) {
    return target.error();
  }
  keys = keys_of(config);
  while (end != std::string_view::npos && end + 1 < text.size()) {
    const std::size_t begin = end + 1;
    end = text.find(';', begin);
    const std::size_t length = end == std::string_view::npos ? end : end - begin;
    if (const Result<void> key = parse_key(text.substr(begin, length)); !key) {
      return key.error();
    }
  }
  return {};
}

Result<void> Parser::parse_key(std::string_view text) {
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
  const Key* const key = config::find(keys, name);
  if (equals == std::string_view::npos) {
    return key != nullptr ? invalid("key {} has no '=': write {}=<value>", name, name)
                          : invalid(
                                "{} after the ';' is not a setting: a setting is <key>=<value>, "
                                "and the path of a volume must not contain ';' (known keys are "
                                "{})",
                                quote(text), known_keys(keys));
  }
  if (key == nullptr) {
    return unknown_key(name, config, keys);
  }
  if (!from.emplace(key->name, "string").second) {
    return invalid("key {} is there twice: keep one", name);
  }
  return config::assign(*key, fmt::format("key {}", name), text.substr(equals + 1));
}

Result<void> Parser::take(const Profiles& profiles) {
  if (!config.profile.empty()) {
    const Profile* const profile = profiles.find(config.profile);
    if (profile == nullptr) {
      const std::string names = profiles.names();
      return invalid("{} has no profile {} with a setting in it; {}", profiles.path(),
                     quote(config.profile),
                     names.empty() ? "it has no profiles" : "it has " + names);
    }
    if (const Result<void> taken = take(*profile, profiles.path()); !taken) {
      return taken.error();
    }
  }
  const Profile* const defaults = profiles.defaults();
  return defaults != nullptr ? take(*defaults, profiles.path()) : Result<void>{};
}

// Takes what no other part has said before.
Result<void> Parser::take(const Profile& profile, const std::string& path) {
  for (const Assignment& its : profile.assignments) {
    const std::string place = fmt::format("{}, {}", path, profile.heading());
    if (its.key == "profile" || its.key == "log") {
      return invalid("{}: key {} belongs to one LUN: give it in the LUN's cfgstring", place,
                     its.key);
    }
    const Key* const key = config::find(keys, its.key);
    if (key == nullptr && profile.name.empty() && !kinds_with(its.key).empty()) {
      continue;
    }
    if (key == nullptr) {
      return invalid("{}: {}", place, unknown_key(its.key, config, keys).message);
    }
    if (from.contains(key->name)) {
      continue;
    }
    if (const Result<void> assigned =
            config::assign(*key, fmt::format("{}: key {}", place, its.key), its.value);
        !assigned) {
      return assigned.error();
    }
    from.emplace(key->name, profile.heading());
  }
  return {};
}

// Whether the settings fit each other.
Result<void> Parser::check() const {
  if (Result<void> log = write_log::check_keys(config.log, config.store); !log) {
    return log;
  }
  if (Result<void> limits = config::check(config); !limits) {
    return limits;
  }
  return backend::check(config.elevator, config.deadline);
}

// Without `profiles`: of the string alone.
Result<void> complete(Parser& parser, std::string_view text, const Profiles* profiles) {
  Result<void> done = parser.parse_string(text);
  if (done && profiles != nullptr) {
    done = parser.take(*profiles);
  }
  if (!done) {
    return done;
  }
  done = parser.check();
  const bool shared = std::ranges::any_of(
      parser.from, [](const auto& setting) { return setting.second != "string"; });
  if (!done && shared) {
    return invalid("{} (the settings of {} count, too)", done.error().message, profiles->path());
  }
  return done;
}

Result<LunConfig> parse(std::string_view text, const Profiles* profiles) {
  Parser parser;
  if (const Result<void> whole = complete(parser, text, profiles); !whole) {
    return whole.error();
  }
  return std::move(parser.config);
}

}  // namespace

Result<LunConfig> parse(std::string_view text, const Profiles& profiles) {
  return parse(text, &profiles);
}

Result<LunConfig> parse(std::string_view text) {
  return parse(text, nullptr);
}

Result<std::vector<Setting>> settings(std::string_view text, const Profiles* profiles) {
  Parser parser;
  if (const Result<void> whole = complete(parser, text, profiles); !whole) {
    return whole.error();
  }
  std::vector<Setting> all;
  for (const Key& key : parser.keys) {
    all.push_back({.name = key.name,
                   .value = config::format(key),
                   .from = parser.from[key.name],
                   .live = key.live});
  }
  return all;
}

LunConfig with_live_settings(const LunConfig& open, const LunConfig& wanted) {
  LunConfig changed = open;
  LunConfig source = wanted;
  const Keys to = keys_of(changed);
  for (const Key& key : keys_of(source)) {
    const Key* const same = config::find(to, key.name);
    if (key.live && same != nullptr) {
      config::copy(key, *same);
    }
  }
  return changed;
}

std::string to_string(const LunConfig& config) {
  std::string text = backend::to_string(config.store);
  LunConfig copy = config;
  LunConfig usual;
  usual.store.kind = config.store.kind;
  const Keys defaults = keys_of(usual);
  const Keys keys = keys_of(copy);
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const std::string value = config::format(keys[i]);
    if (value != config::format(defaults[i])) {
      text += fmt::format(";{}={}", keys[i].name, value);
    }
  }
  return text;
}

std::vector<KeyText> describe_keys() {
  std::vector<KeyText> all;
  // Two kinds may have a key with the same name, and other values.
  std::set<std::pair<std::string_view, std::string>> seen;
  for (const Kind& kind : backend::kinds()) {
    LunConfig config;
    config.store.kind = &kind;
    for (const Key& key : keys_of(config)) {
      const std::string values = config::describe_values(key);
      if (seen.emplace(key.name, values).second) {
        const std::string usual = config::format(key);
        all.push_back({key.name, values, usual.empty() ? "none" : usual, key.live});
      }
    }
  }
  return all;
}

std::string live_keys() {
  LunConfig config;
  std::vector<std::string_view> live;
  for (const Key& key : keys_of(config)) {
    if (key.live) {
      live.push_back(key.name);
    }
  }
  return list(live, " and ");
}

}  // namespace ballast::lun
