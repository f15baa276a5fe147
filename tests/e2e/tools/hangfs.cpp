// SPDX-License-Identifier: Apache-2.0
// A file system with one file, whose requests hang or fail on command.
//
//   hangfs DIRECTORY FILE RULES
//
// It mounts itself on DIRECTORY, where "0.raw" has the contents of FILE, and serves it in the
// foreground until it is unmounted. RULES is a file of words. It is read at the beginning and at
// each SIGHUP:
//
//   read=hang      requests of this kind are kept, and served in their order once the rule is gone
//   fsync=5        requests of this kind fail with this errno (5 is EIO), those that are kept, too
//
// Kinds: read, write, fsync, fallocate, setattr, lseek, open, statfs. If it is stopped with
// SIGSTOP, it answers nothing at all. It speaks the kernel's FUSE protocol (linux/fuse.h) itself,
// so it needs no library.
//
// Exit: 0 unmounted; 1 something failed, see standard error; 2 wrong use.
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <sys/mount.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <list>
#include <map>
#include <string>
#include <vector>

namespace {

constexpr const char* kName = "0.raw";
constexpr std::uint64_t kFileNode = 2;
constexpr std::uint32_t kMostBytes = 1 << 20;  // of one request
constexpr int kHang = -1;

[[noreturn]] void cannot(const std::string& what) {
  std::fprintf(stderr, "hangfs: %s: %s\n", what.c_str(), std::strerror(errno));
  std::exit(1);
}

// Which kinds of requests hang (kHang) or fail (an errno).
class Rules {
 public:
  explicit Rules(std::string path) : path_{std::move(path)} {}
  void load() {
    rules_.clear();
    std::ifstream in{path_};
    std::string word;
    while (in >> word) {
      const std::size_t equals = word.find('=');
      const std::string value = equals == std::string::npos ? "" : word.substr(equals + 1);
      rules_[word.substr(0, equals)] = value == "hang" ? kHang : std::atoi(value.c_str());
    }
  }
  // 0: served.
  int of(std::uint32_t opcode) const {
    const auto rule = rules_.find(kind(opcode));
    return rule == rules_.end() ? 0 : rule->second;
  }

 private:
  static const char* kind(std::uint32_t opcode) {
    switch (opcode) {
      case FUSE_READ:
        return "read";
      case FUSE_WRITE:
        return "write";
      case FUSE_FSYNC:
        return "fsync";
      case FUSE_FALLOCATE:
        return "fallocate";
      case FUSE_SETATTR:
        return "setattr";
      case FUSE_LSEEK:
        return "lseek";
      case FUSE_OPEN:
        return "open";
      case FUSE_STATFS:
        return "statfs";
      default:
        return "";
    }
  }
  std::string path_;
  std::map<std::string, int> rules_;
};

using Request = std::vector<char>;

class Server {
 public:
  Server(int device, int file, std::string rules)
      : device_{device}, file_{file}, rules_{std::move(rules)} {
    rules_.load();
  }
  // Until it is unmounted.
  void run(int signals);

 private:
  // The kernel gives a request as a whole: its header, and after it what its opcode has.
  static const fuse_in_header& header(const Request& request) {
    return *reinterpret_cast<const fuse_in_header*>(request.data());
  }
  template <class Argument>
  static const Argument& argument(const Request& request) {
    return *reinterpret_cast<const Argument*>(request.data() + sizeof(fuse_in_header));
  }
  void take(Request request);
  void look_at_kept();
  void serve(const Request& request);
  void serve_file(const Request& request);
  void reply(const Request& request, int error, const void* data = nullptr, std::size_t size = 0);
  template <class Answer>
  void reply_with(const Request& request, const Answer& answer) {
    reply(request, 0, &answer, sizeof answer);
  }
  fuse_attr attributes(std::uint64_t node) const;
  void greet(const Request& request);
  void look_up(const Request& request);
  void read_file(const Request& request);
  void write_file(const Request& request);

  int device_;
  int file_;
  Rules rules_;
  std::list<Request> kept_;
};

void Server::reply(const Request& request, int error, const void* data, std::size_t size) {
  fuse_out_header out{};
  out.len = static_cast<std::uint32_t>(sizeof out + (error == 0 ? size : 0));
  out.error = -error;
  out.unique = header(request).unique;
  const iovec parts[] = {{&out, sizeof out}, {const_cast<void*>(data), error == 0 ? size : 0}};
  // ENOENT: whoever asked was interrupted and has gone.
  if (writev(device_, parts, 2) < 0 && errno != ENOENT)
    cannot("answer opcode " + std::to_string(header(request).opcode));
}

fuse_attr Server::attributes(std::uint64_t node) const {
  fuse_attr attr{};
  attr.ino = node;
  attr.nlink = node == FUSE_ROOT_ID ? 2 : 1;
  attr.blksize = 4096;
  attr.mode = S_IFDIR | 0755;
  if (node == kFileNode) {
    struct stat status {};
    if (fstat(file_, &status) != 0)
      cannot("fstat");
    attr.mode = S_IFREG | 0600;
    attr.size = static_cast<std::uint64_t>(status.st_size);
    attr.blocks = static_cast<std::uint64_t>(status.st_blocks);
  }
  return attr;
}

void Server::greet(const Request& request) {
  fuse_init_out out{};
  out.major = FUSE_KERNEL_VERSION;
  out.minor = 31;
  out.max_readahead = argument<fuse_init_in>(request).max_readahead;
  out.flags = FUSE_BIG_WRITES | FUSE_ASYNC_READ | FUSE_MAX_PAGES | FUSE_ASYNC_DIO;
  out.max_background = 64;
  out.congestion_threshold = 48;
  out.max_write = kMostBytes;
  out.max_pages = kMostBytes / 4096;
  out.time_gran = 1;
  reply_with(request, out);
}

void Server::look_up(const Request& request) {
  if (std::strcmp(&argument<char>(request), kName) != 0)
    return reply(request, ENOENT);
  fuse_entry_out out{};
  out.nodeid = kFileNode;
  out.generation = 1;
  out.attr = attributes(kFileNode);
  reply_with(request, out);
}

void Server::read_file(const Request& request) {
  const auto& in = argument<fuse_read_in>(request);
  std::vector<char> data(in.size);
  const ssize_t n = pread(file_, data.data(), in.size, static_cast<off_t>(in.offset));
  reply(request, n < 0 ? errno : 0, data.data(), n < 0 ? 0 : static_cast<std::size_t>(n));
}

void Server::write_file(const Request& request) {
  const auto& in = argument<fuse_write_in>(request);
  const ssize_t n = pwrite(file_, &in + 1, in.size, static_cast<off_t>(in.offset));
  if (n < 0)
    return reply(request, errno);
  fuse_write_out out{};
  out.size = static_cast<std::uint32_t>(n);
  reply_with(request, out);
}

void Server::serve_file(const Request& request) {
  switch (header(request).opcode) {
    case FUSE_READ:
      return read_file(request);
    case FUSE_WRITE:
      return write_file(request);
    case FUSE_FALLOCATE: {
      const auto& in = argument<fuse_fallocate_in>(request);
      const int done = fallocate(file_, static_cast<int>(in.mode), static_cast<off_t>(in.offset),
                                 static_cast<off_t>(in.length));
      return reply(request, done == 0 ? 0 : errno);
    }
    case FUSE_SETATTR: {
      const auto& in = argument<fuse_setattr_in>(request);
      if ((in.valid & FATTR_SIZE) != 0 && ftruncate(file_, static_cast<off_t>(in.size)) != 0)
        return reply(request, errno);
      [[fallthrough]];
    }
    case FUSE_GETATTR: {
      fuse_attr_out out{};
      out.attr = attributes(header(request).nodeid);
      return reply_with(request, out);
    }
    default:
      return reply(request, ENOSYS);
  }
}

void Server::serve(const Request& request) {
  switch (header(request).opcode) {
    case FUSE_INIT:
      return greet(request);
    case FUSE_LOOKUP:
      return look_up(request);
    case FUSE_OPEN:
    case FUSE_OPENDIR:
      return reply_with(request, fuse_open_out{});
    case FUSE_STATFS: {
      fuse_statfs_out out{};
      out.st.bsize = 4096;
      return reply_with(request, out);
    }
    // Everything that was written is in FILE, which outlives us.
    case FUSE_FSYNC:
    case FUSE_FLUSH:
    case FUSE_RELEASE:
    case FUSE_RELEASEDIR:
      return reply(request, 0);
    // These have no answer.
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET:
    case FUSE_INTERRUPT:
      return;
    default:
      return serve_file(request);
  }
}

void Server::take(Request request) {
  const int rule = rules_.of(header(request).opcode);
  if (rule == kHang)
    return kept_.push_back(std::move(request));
  if (rule > 0)
    return reply(request, rule);
  serve(request);
}

void Server::look_at_kept() {
  std::list<Request> kept = std::move(kept_);
  kept_.clear();
  for (Request& request : kept)
    take(std::move(request));
}

void Server::run(int signals) {
  std::vector<char> space(kMostBytes + 65536);
  pollfd wait[] = {{device_, POLLIN, 0}, {signals, POLLIN, 0}};
  for (;;) {
    if (poll(wait, 2, -1) < 0 && errno != EINTR)
      cannot("poll");
    signalfd_siginfo info{};
    if (read(signals, &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
      rules_.load();
      look_at_kept();
    }
    const ssize_t n = read(device_, space.data(), space.size());
    if (n >= 0)
      take(Request(space.data(), space.data() + n));
    else if (errno == ENODEV)
      return;
    else if (errno != EAGAIN && errno != EINTR && errno != ENOENT)
      cannot("read /dev/fuse");
  }
}

int hang_up_signal() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGHUP);
  sigprocmask(SIG_BLOCK, &set, nullptr);
  const int signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
  if (signals < 0)
    cannot("signalfd");
  return signals;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: hangfs DIRECTORY FILE RULES\n");
    return 2;
  }
  const int signals = hang_up_signal();
  const int file = open(argv[2], O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0)
    cannot(std::string("open ") + argv[2]);
  const int device = open("/dev/fuse", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (device < 0)
    cannot("open /dev/fuse");
  const std::string options =
      "fd=" + std::to_string(device) +
      ",rootmode=40000,user_id=0,group_id=0,default_permissions,allow_other";
  if (mount("hangfs", argv[1], "fuse.hangfs", MS_NOSUID | MS_NODEV, options.c_str()) != 0)
    cannot(std::string("mount on ") + argv[1]);
  Server server{device, file, argv[3]};
  server.run(signals);
}
