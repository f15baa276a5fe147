// SPDX-License-Identifier: Apache-2.0
#include "lib/backend/trusted_path.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstring>
#include <utility>

namespace ballast::backend {
namespace {

constexpr unsigned most_links = 40;  // as the kernel
constexpr int look = O_PATH | O_NOFOLLOW | O_CLOEXEC;

class Walk {
 public:
  explicit Walk(const std::string& path) : path_{path}, rest_{path} {}

  Result<PathEnd> go() {
    from_root();
    while (!at_end()) {
      if (!folder_) {
        return failed(errno);
      }
      UniqueFd next{::openat(folder_.get(), name_.c_str(), look)};
      struct stat status {};
      const bool missing = !next && errno == ENOENT;
      if (!missing && (!next || ::fstat(next.get(), &status) != 0)) {
        return failed(errno);
      }
      if (S_ISLNK(status.st_mode)) {
        if (Result<void> followed = follow_link(next, status); !followed) {
          return followed.error();
        }
      } else if (is_last()) {
        return PathEnd{std::move(folder_), name_, std::move(next)};
      } else {
        // Asking for a directory has an automount point mounted.
        folder_ = UniqueFd{::openat(folder_.get(), name_.c_str(), look | O_DIRECTORY)};
      }
    }
    // The path is the root, or ends with ".".
    return failed(EISDIR);
  }

 private:
  void from_root() { folder_ = UniqueFd{::open("/", look | O_DIRECTORY)}; }

  // Takes the next name out of the rest. Returns true if there is none.
  bool at_end() {
    do {
      const std::size_t begin = rest_.find_first_not_of('/');
      if (begin == std::string::npos) {
        return true;
      }
      const std::size_t end = std::min(rest_.find('/', begin), rest_.size());
      name_ = rest_.substr(begin, end - begin);
      rest_.erase(0, end);
    } while (name_ == ".");
    return false;
  }
  bool is_last() const { return rest_.find_first_not_of('/') == std::string::npos; }

  Result<void> follow_link(const UniqueFd& link, const struct stat& status) {
    if (status.st_uid != 0 && status.st_uid != ::geteuid()) {
      return Error{EPERM,
                   fmt::format("{} leads over the symbolic link \"{}\", which belongs to user {}: "
                               "who may change it could have Ballast write to any file; give it "
                               "to root (chown -h root), or write a path without it",
                               path_, name_, status.st_uid)};
    }
    std::array<char, PATH_MAX> target;
    const ssize_t length = ::readlinkat(link.get(), "", target.data(), target.size());
    if (length <= 0 || ++links_ > most_links) {
      return failed(length < 0 ? errno : ELOOP);
    }
    rest_.insert(0, target.data(), static_cast<std::size_t>(length));
    if (target[0] == '/') {
      from_root();
    }
    return {};
  }

  Error failed(int why) const {
    return Error{why, fmt::format("{} cannot be reached: {}", path_, std::strerror(why))};
  }

  const std::string& path_;
  std::string rest_;
  std::string name_;
  UniqueFd folder_;
  unsigned links_ = 0;
};

}  // namespace

Result<PathEnd> follow(const std::string& path) {
  return Walk{path}.go();
}

UniqueFd open_end(const PathEnd& end, int flags) {
  return UniqueFd{
      ::open(fmt::format("/proc/self/fd/{}", end.file.get()).c_str(), flags | O_CLOEXEC)};
}

}  // namespace ballast::backend
