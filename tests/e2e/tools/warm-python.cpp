// SPDX-License-Identifier: Apache-2.0
// The tests call this under the name of targetcli or targetctl. It lets warm-python.py run that
// program with its own arguments, environment, standard streams and folder, and exits with the same
// status. If no server listens at WARM_PYTHON, it runs the program itself.
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

namespace {

int connected(const char* path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path == nullptr || std::strlen(path) >= sizeof(address.sun_path)) {
    return -1;
  }
  std::strcpy(address.sun_path, path);
  const int caller = ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  void* const any = &address;
  if (::connect(caller, static_cast<sockaddr*>(any), sizeof(address)) != 0) {
    ::close(caller);
    return -1;
  }
  return caller;
}

bool ask(int caller, std::string words) {
  const std::array<int, 4> files{0, 1, 2, ::open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  iovec part{words.data(), words.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(files))> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* const header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(files));
  std::memcpy(CMSG_DATA(header), files.data(), sizeof(files));
  return ::sendmsg(caller, &message, MSG_NOSIGNAL) >= 0;
}

}  // namespace

int main(int argc, char** argv) {
  const char* const slash = std::strrchr(argv[0], '/');
  const std::string name = slash != nullptr ? slash + 1 : argv[0];
  const int caller = connected(std::getenv("WARM_PYTHON"));
  if (caller < 0) {
    ::execv(("/usr/bin/" + name).c_str(), argv);
    std::perror(name.c_str());
    return 127;
  }
  std::string words = std::to_string(argc) + '\0' + name + '\0';
  for (int i = 1; i < argc; ++i) {
    words += argv[i] + std::string(1, '\0');
  }
  for (char** variable = environ; *variable != nullptr; ++variable) {
    words += *variable + std::string(1, '\0');
  }
  std::int32_t status = 0;
  if (!ask(caller, words) || ::read(caller, &status, sizeof(status)) != sizeof(status)) {
    std::fprintf(stderr, "%s: warm-python.py has gone away\n", name.c_str());
    return 125;
  }
  return status;
}
