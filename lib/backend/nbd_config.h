// SPDX-License-Identifier: Apache-2.0
// The settings of an NBD server in a configuration string:
//
//   nbd=storage.example;port=10809;export=vol0;tls=require;tls_psk_file=/etc/ballast/vol0.psk
//   nbd=/run/vol0.sock
//
// The target is a host name, an IP address, or the absolute path of a Unix socket. rtslib refuses a
// ':' and the kernel a ',', so they are written %3A and %2C, also in an IPv6 address and in the
// name of the export: nbd=fd00%3A%3A7.
#pragma once

#include <cstdint>
#include <string>

#include "lib/base/keys.h"
#include "lib/base/result.h"

namespace ballast::backend {

struct NbdConfig {
  enum class Tls : std::uint8_t { off, require };
  // `server`: the server serves one connection at a time, and lets the next client in only once
  // every request of the last one has ended.
  enum class Exclusive : std::uint8_t { no, server };

  std::string server;  // a host name or an address; or an absolute path
  std::uint32_t port = 10809;
  std::string export_name{};  // empty: the server's default
  Tls tls = Tls::off;
  std::string tls_psk_file{};  // absolute; empty: none
  std::uint32_t connections = 1;
  Exclusive exclusive = Exclusive::no;
  friend bool operator==(const NbdConfig&, const NbdConfig&) = default;

  bool is_unix_socket() const { return server.starts_with('/'); }
};

config::Key target_of(NbdConfig& config);
config::Keys keys_of(NbdConfig& config);

// Whether the settings fit together (EINVAL). Pure.
Result<void> check_settings(const NbdConfig& config);

// The server, for people: "storage.example port 10809", or the socket's path.
std::string server_of(const NbdConfig& config);
// The server and the export, for people: "export \"vol0\" of storage.example port 10809".
std::string describe(const NbdConfig& config);

}  // namespace ballast::backend
