// SPDX-License-Identifier: Apache-2.0
#include "lib/backend/nbd_config.h"

#include <fmt/format.h>
#include <sys/un.h>

#include <array>
#include <cerrno>
#include <string_view>

#include "lib/base/values.h"

namespace ballast::backend {
namespace {

template <class... Args>
Error invalid(fmt::format_string<Args...> format, Args&&... args) {
  return Error{EINVAL, fmt::format(format, std::forward<Args>(args)...)};
}

}  // namespace

config::Key target_of(NbdConfig& config) {
  return {"server", config::Text{config.server, "a host or a socket"}};
}

config::Keys keys_of(NbdConfig& config) {
  static constexpr std::array<std::string_view, 2> tls{"off", "require"};
  static constexpr std::array<std::string_view, 2> exclusive{"no", "server"};
  return {{"port", config::Number{config.port, 1, 65535}},
          {"export", config::Text{config.export_name, "a name"}},
          {"tls", config::Choice{config.tls, tls}},
          {"tls_psk_file", config::Path{config.tls_psk_file}},
          {"connections", config::Number{config.connections, 1, 16}},
          {"exclusive", config::Choice{config.exclusive, exclusive}}};
}

Result<void> check_settings(const NbdConfig& config) {
  if (config.is_unix_socket() && config.server.size() >= sizeof(sockaddr_un::sun_path)) {
    return invalid("the path of the socket {} is too long: the kernel takes {} characters",
                   config::quote(config.server), sizeof(sockaddr_un::sun_path) - 1);
  }
  if (config.is_unix_socket() && config.port != NbdConfig{}.port) {
    return invalid("key port={} has no meaning with the Unix socket {}: remove it", config.port,
                   config::quote(config.server));
  }
  if (config.tls == NbdConfig::Tls::require && config.tls_psk_file.empty()) {
    return invalid(
        "key tls=require needs a key: add tls_psk_file=/path, a file that psktool has made");
  }
  if (config.tls == NbdConfig::Tls::off && !config.tls_psk_file.empty()) {
    return invalid("key tls_psk_file={} has no effect without TLS: add tls=require, or remove it",
                   config.tls_psk_file);
  }
  if (config.exclusive == NbdConfig::Exclusive::server && config.connections != 1) {
    return invalid(
        "key connections={} and exclusive=server contradict each other: a server that serves one "
        "client at a time serves one connection; remove one of the two keys",
        config.connections);
  }
  return {};
}

std::string server_of(const NbdConfig& config) {
  return config.is_unix_socket() ? config.server
                                 : fmt::format("{} port {}", config.server, config.port);
}

std::string describe(const NbdConfig& config) {
  const std::string server = server_of(config);
  return config.export_name.empty()
             ? fmt::format("the default export of {}", server)
             : fmt::format("export {} of {}", config::quote(config.export_name), server);
}

}  // namespace ballast::backend
