// SPDX-License-Identifier: Apache-2.0
// The settings of an image in Ceph in a configuration string:
// rbd=pool/image;id=ballast or rbd=pool/namespace/image@snapshot.
//
// A character that the string, the kernel or targetcli takes for itself is written as %XX, in the
// target and in `id`: %25 for '%', %2C for ',', %3A for ':', %3B for ';', and within a name %2F for
// '/' and %40 for '@'.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "lib/base/keys.h"
#include "lib/base/result.h"

namespace ballast::backend {

enum class RbdLock : std::uint8_t {
  exclusive,  // take the image when the LUN is opened
  none,       // do not care who else uses it
  standby,    // take it when an initiator or an operator says so (shared_store.h)
};
enum class RbdEncryption : std::uint8_t { none, luks2 };

struct RbdConfig {
  std::string image;         // as written; see parse_rbd_name()
  std::string id = "admin";  // the cephx user, without "client."; as written
  std::string conf = "/etc/ceph/ceph.conf";
  RbdLock lock = RbdLock::exclusive;
  RbdEncryption encryption = RbdEncryption::none;
  std::string passphrase_file;
  friend bool operator==(const RbdConfig&, const RbdConfig&) = default;
};

config::Key target_of(RbdConfig& config);
config::Keys keys_of(RbdConfig& config);

// The names in a target, decoded.
struct RbdName {
  std::string pool;
  std::string name_space;  // empty: none
  std::string image;
  std::string snapshot;  // empty: none
};

// `what` names the value in the message: "the image". The error's errno_value is EINVAL.
Result<RbdName> parse_rbd_name(std::string_view what, std::string_view text);

// Finds keys that contradict each other.
Result<void> check_keys(const RbdConfig& config);

}  // namespace ballast::backend
