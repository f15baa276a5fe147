// SPDX-License-Identifier: Apache-2.0
#include "targetcli-config/exporter/address.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>

#include <cerrno>
#include <limits>

#include "lib/base/values.h"

namespace ballast::exporter {
namespace {

bool is_address(int family, const std::string& host) {
  in6_addr parsed;  // the larger one
  return ::inet_pton(family, host.c_str(), &parsed) == 1;
}

bool is_host(const std::string& host) {
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  return bracketed ? is_address(AF_INET6, host.substr(1, host.size() - 2))
                   : is_address(AF_INET, host);
}

}  // namespace

std::string Address::text() const {
  return fmt::format("{}:{}", host, port);
}

Result<Address> parse_address(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  const std::string host{text.substr(0, colon)};
  if (colon == std::string_view::npos || !is_host(host)) {
    return Error{EINVAL, fmt::format("--listen: {} is not ADDRESS:PORT with a numeric address, as "
                                     "127.0.0.1:9728 or [::1]:9728",
                                     config::quote(text))};
  }
  const Result<std::uint64_t> port =
      config::parse_number("the port of --listen", text.substr(colon + 1));
  if (!port) {
    return port.error();
  }
  if (port.value() > std::numeric_limits<std::uint16_t>::max()) {
    return Error{EINVAL, fmt::format("the port of --listen: {} is out of range: it may be 0 to {}",
                                     port.value(), std::numeric_limits<std::uint16_t>::max())};
  }
  return Address{host, static_cast<std::uint16_t>(port.value())};
}

}  // namespace ballast::exporter
