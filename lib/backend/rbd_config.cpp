// SPDX-License-Identifier: Apache-2.0
#include "lib/backend/rbd_config.h"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <utility>
#include <vector>

#include "lib/base/values.h"

namespace ballast::backend {
namespace {

using config::quote;

template <class... Args>
Error invalid(fmt::format_string<Args...> format, Args&&... args) {
  return Error{EINVAL, fmt::format(format, std::forward<Args>(args)...)};
}

Result<void> check_name(std::string_view what, std::string_view text) {
  const Result<RbdName> name = parse_rbd_name(what, text);
  return name ? Result<void>{} : name.error();
}

Result<void> check_id(std::string_view what, std::string_view text) {
  if (text.starts_with("client.")) {
    return invalid("{}: {} begins with \"client.\": write only what follows it", what, quote(text));
  }
  const Result<std::string> id = config::parse_text(what, text);
  return id ? Result<void>{} : id.error();
}

}  // namespace

Result<RbdName> parse_rbd_name(std::string_view what, std::string_view text) {
  const std::vector<std::string_view> halves = config::split(text, '@');
  const std::vector<std::string_view> names = config::split(halves.front(), '/');
  if (names.size() < 2) {
    return invalid("{}: {} names no pool: write rbd=pool/image", what, quote(text));
  }
  if (names.size() > 3 || halves.size() > 2) {
    return invalid(
        "{}: {} has too many parts: write rbd=pool/image, or pool/namespace/image@snapshot; %2F "
        "stands for a '/' and %40 for an '@' within a name",
        what, quote(text));
  }
  RbdName name;
  std::vector<std::pair<std::string*, std::string_view>> parts{{&name.pool, names.front()},
                                                               {&name.image, names.back()}};
  if (names.size() == 3) {
    parts.emplace_back(&name.name_space, names[1]);
  }
  if (halves.size() == 2) {
    parts.emplace_back(&name.snapshot, halves[1]);
  }
  for (const auto& [decoded, written] : parts) {
    if (written.empty()) {
      return invalid(
          "{}: a name is empty in {}: write rbd=pool/image, or "
          "pool/namespace/image@snapshot",
          what, quote(text));
    }
    Result<std::string> part = config::parse_text(what, written);
    if (!part) {
      return part.error();
    }
    *decoded = std::move(part).value();
  }
  return name;
}

config::Key target_of(RbdConfig& config) {
  return {"image", config::WrittenText{config.image, check_name, "pool/image"}};
}

config::Keys keys_of(RbdConfig& config) {
  static constexpr std::array<std::string_view, 3> locks{"exclusive", "none", "standby"};
  static constexpr std::array<std::string_view, 2> encryptions{"none", "luks2"};
  return {{"id", config::WrittenText{config.id, check_id, "the name of a cephx user"}},
          {"conf", config::Path{config.conf}},
          {"lock", config::Choice{config.lock, locks}},
          {"encryption", config::Choice{config.encryption, encryptions}},
          {"passphrase_file", config::Path{config.passphrase_file}}};
}

Result<void> check_keys(const RbdConfig& config) {
  const bool encrypted = config.encryption != RbdEncryption::none;
  if (encrypted && config.passphrase_file.empty()) {
    return invalid("key encryption needs the passphrase: add ;passphrase_file=<path>");
  }
  if (!encrypted && !config.passphrase_file.empty()) {
    return invalid(
        "key passphrase_file is there, but the image is not to be decrypted: add "
        ";encryption=luks2, or remove it");
  }
  const Result<RbdName> name = parse_rbd_name("the image", config.image);
  if (config.lock == RbdLock::standby && name && !name.value().snapshot.empty()) {
    return invalid("key lock: a snapshot cannot be owned, so it has no lock=standby: remove it");
  }
  return {};
}

}  // namespace ballast::backend
