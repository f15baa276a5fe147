// SPDX-License-Identifier: Apache-2.0
#include "lib/watch/service_watchdog.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "lib/base/unique_fd.h"

namespace ballast::watch {
namespace {

std::optional<std::int64_t> number_in(const char* variable) {
  const char* const text = std::getenv(variable);
  if (text == nullptr) {
    return std::nullopt;
  }
  const std::string_view digits{text};
  std::int64_t number = 0;
  const char* const end = digits.data() + digits.size();
  const auto [behind, error] = std::from_chars(digits.data(), end, number);
  return error == std::errc{} && behind == end ? std::optional{number} : std::nullopt;
}

}  // namespace

std::optional<ServiceWatchdog> ServiceWatchdog::from_environment() {
  const char* const socket = std::getenv("NOTIFY_SOCKET");
  const std::optional<std::int64_t> limit = number_in("WATCHDOG_USEC");
  const std::optional<std::int64_t> pid = number_in("WATCHDOG_PID");
  const bool possible = socket != nullptr && (socket[0] == '/' || socket[0] == '@') &&
                        std::strlen(socket) < sizeof(sockaddr_un{}.sun_path);
  if (!possible || limit.value_or(0) <= 0 || pid.value_or(::getpid()) != ::getpid()) {
    return std::nullopt;
  }
  return ServiceWatchdog{socket, std::chrono::microseconds{*limit}};
}

int ServiceWatchdog::feed() const noexcept {
  constexpr std::string_view message = "WATCHDOG=1";
  const UniqueFd fd{::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, socket_.data(), socket_.size());
  if (address.sun_path[0] == '@') {
    address.sun_path[0] = '\0';
  }
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + socket_.size());
  if (::sendto(fd.get(), message.data(), message.size(), MSG_DONTWAIT | MSG_NOSIGNAL,
               reinterpret_cast<const sockaddr*>(&address), length) < 0) {
    return errno;
  }
  return 0;
}

}  // namespace ballast::watch
