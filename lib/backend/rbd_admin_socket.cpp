// SPDX-License-Identifier: Apache-2.0
#include "lib/backend/rbd_admin_socket.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <memory>
#include <utility>

#include "lib/base/unique_fd.h"

namespace ballast::backend {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::string_view ending = ".asok";

// Only this user may look into the folder afterwards. Returns whether that is so.
bool make_private(const std::string& folder) {
  (void)::mkdir(folder.c_str(), 0700);
  const UniqueFd fd{::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)};
  struct stat found {};
  return fd && ::fstat(fd.get(), &found) == 0 && found.st_uid == ::geteuid() &&
         ((found.st_mode & 0077) == 0 || ::fchmod(fd.get(), 0700) == 0);
}

// The process that a socket belongs to, "4711.3.asok"; 0 if the name is another one.
pid_t process_of(std::string_view name) {
  pid_t process = 0;
  const auto [rest, error] = std::from_chars(name.data(), name.data() + name.size(), process);
  return error == std::errc{} && *rest == '.' && name.ends_with(ending) ? process : 0;
}

void remove_leftovers(const std::string& folder) {
  const std::unique_ptr<DIR, int (*)(DIR*)> entries{::opendir(folder.c_str()), &::closedir};
  if (entries == nullptr) {
    return;
  }
  while (const dirent* const entry = ::readdir(entries.get())) {
    const pid_t process = process_of(entry->d_name);
    if (process > 0 && ::kill(process, 0) != 0 && errno == ESRCH) {
      (void)::unlink((folder + "/" + entry->d_name).c_str());
    }
  }
}

// Waits for the socket. Returns false if time is over.
bool wait_for(int fd, short events, Clock::time_point until) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now()).count();
  pollfd one{.fd = fd, .events = events, .revents = 0};
  return left > 0 && ::poll(&one, 1, static_cast<int>(left)) == 1;
}

bool send_all(int fd, std::string_view bytes, Clock::time_point until) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent > 0) {
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    } else if (errno != EAGAIN || !wait_for(fd, POLLOUT, until)) {
      return false;
    }
  }
  return true;
}

bool receive_all(int fd, char* to, std::size_t count, Clock::time_point until) {
  while (count > 0) {
    if (!wait_for(fd, POLLIN, until)) {
      return false;
    }
    const ssize_t got = ::recv(fd, to, count, MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno != EAGAIN)) {
      return false;
    }
    to += std::max<ssize_t>(got, 0);
    count -= static_cast<std::size_t>(std::max<ssize_t>(got, 0));
  }
  return true;
}

bool fits(const std::string& path) {
  return path.size() < sizeof(sockaddr_un::sun_path);
}

}  // namespace

RbdAdminSocket::RbdAdminSocket(const std::string& folder) {
  static std::atomic<std::uint64_t> made{0};
  std::string path = fmt::format("{}/{}.{}{}", folder, ::getpid(), ++made, ending);
  if (fits(path) && make_private(folder)) {
    remove_leftovers(folder);
    path_ = std::move(path);
  }
}

RbdAdminSocket::~RbdAdminSocket() {
  if (!path_.empty()) {
    (void)::unlink(path_.c_str());
  }
}

// The protocol: the command, a zero byte; then the length of the answer in four bytes, the highest
// first, and the answer.
std::string ask_admin_socket(const std::string& path, std::string_view command,
                             Nanoseconds patience, std::size_t most) {
  const Clock::time_point until = Clock::now() + patience;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const UniqueFd fd{::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
  if (!fd || !fits(path)) {
    return {};
  }
  path.copy(static_cast<char*>(address.sun_path), path.size());
  // A socket whose owner has no room for one more caller fails at once.
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return {};
  }
  std::array<unsigned char, 4> head{};
  if (!send_all(fd.get(), command, until) || !send_all(fd.get(), {"", 1}, until) ||
      !receive_all(fd.get(), reinterpret_cast<char*>(head.data()), head.size(), until)) {
    return {};
  }
  std::size_t length = 0;
  for (const unsigned char byte : head) {
    length = length << 8 | byte;
  }
  if (length > most) {
    return {};
  }
  std::string answer(length, '\0');
  return receive_all(fd.get(), answer.data(), answer.size(), until) ? answer : std::string{};
}

}  // namespace ballast::backend
