// SPDX-License-Identifier: Apache-2.0
#include "lib/lun/config.h"

#include <fmt/format.h>

#include <array>
#include <cerrno>
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
  // A multiple of 4096 is a multiple of every block size. 32 MiB bounds the work of one command.
  keys.push_back({"write_same_max", config::Size{config.write_same_max, 4_KiB, 32768_KiB, 4_KiB}});
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

// The error for a key that this configuration does not know.
Error unknown_key(std::string_view name, const LunConfig& config, const Keys& keys) {
  std::vector<std::string_view> with;
  for (const Kind& kind : backend::kinds()) {
    backend::StoreConfig other;
    other.kind = &kind;
    if (config::find(backend::keys_of(other), name) != nullptr) {
      with.push_back(kind.name);
    }
  }
  if (!with.empty()) {
    return invalid("key {} can be used with {} only, not with {}: remove it", name,
                   list(with, " or "), config.store.kind->name);
  }
  return invalid("unknown key {}: known are {}", quote(name), known_keys(keys));
}

Result<void> parse_key(std::string_view text, const LunConfig& config, const Keys& keys,
                       std::set<std::string_view>& seen) {
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
  if (!seen.insert(key->name).second) {
    return invalid("key {} is there twice: keep one", name);
  }
  return config::assign(*key, fmt::format("key {}", name), text.substr(equals + 1));
}

}  // namespace

Result<LunConfig> parse(std::string_view text) {
  if (const Result<void> characters = check_characters(text); !characters) {
    return characters.error();
  }
  LunConfig config;
  std::size_t end = text.find(';');
  if (const Result<void> target = parse_target(text.substr(0, end), config.store); !target) {
    return target.error();
  }
  const Keys keys = keys_of(config);
  std::set<std::string_view> seen;
  while (end != std::string_view::npos && end + 1 < text.size()) {
    const std::size_t begin = end + 1;
    end = text.find(';', begin);
    const std::size_t length = end == std::string_view::npos ? end : end - begin;
    if (const Result<void> key = parse_key(text.substr(begin, length), config, keys, seen); !key) {
      return key.error();
    }
  }
  if (const Result<void> log = write_log::check_keys(config.log, config.store); !log) {
    return log.error();
  }
  if (const Result<void> limits = config::check(config); !limits) {
    return limits.error();
  }
  if (const Result<void> rules = backend::check(config.elevator, config.deadline); !rules) {
    return rules.error();
  }
  return config;
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
