// SPDX-License-Identifier: Apache-2.0
// ballastctl log export: saves what a log has in a sparse file of the LUN's size.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/uio.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/unique_fd.h"
#include "lib/write_log/batch.h"
#include "lib/write_log/ring.h"
#include "targetcli-config/ballastctl/log/offline.h"
#include "targetcli-config/ballastctl/log/paths.h"
#include "targetcli-config/ballastctl/log/ranges.h"
#include "targetcli-config/ballastctl/log/verbs.h"
#include "targetcli-config/ballastctl/text/output.h"

namespace ballast::ctl {
namespace {

using write_log::Batch;
using write_log::Contents;
using write_log::Kind;
using write_log::Superblock;

struct Options {
  std::string log;
  std::string file;
  bool json = false;
};

// The new file. It is removed again unless it was finished.
class NewFile {
 public:
  NewFile(const std::string& path, Bytes size)
      : path_{path}, fd_{::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600)} {
    if (!fd_) {
      fail(fmt::format("{} cannot be created: {}; give a path that is free", path,
                       std::strerror(errno)));
    }
    if (::ftruncate(fd_.get(), static_cast<off_t>(size.value())) != 0) {
      give_up();
    }
  }
  ~NewFile() {
    if (!finished_) {
      ::unlink(path_.c_str());
    }
  }
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;

  void write(Bytes offset, const std::vector<iovec>& segments) {
    auto at = static_cast<off_t>(offset.value());
    for (const iovec& segment : segments) {
      const auto* from = static_cast<const char*>(segment.iov_base);
      for (std::size_t done = 0; done < segment.iov_len;) {
        const ssize_t put = ::pwrite(fd_.get(), from + done, segment.iov_len - done, at);
        if (put <= 0) {
          give_up();
        }
        done += static_cast<std::size_t>(put);
        at += put;
      }
    }
  }
  // Of a range that was written before, and is zeros in newer blocks.
  void zero(Bytes offset, Bytes length) {
    if (::fallocate(fd_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                    static_cast<off_t>(offset.value()), static_cast<off_t>(length.value())) != 0) {
      give_up();
    }
  }
  void finish() {
    if (::fsync(fd_.get()) != 0) {
      give_up();
    }
    finished_ = true;
  }

 private:
  [[noreturn]] void give_up() {
    fail(fmt::format("{} cannot be written: {}; it was removed, and the log is as it was", path_,
                     std::strerror(errno)));
  }

  const std::string path_;
  UniqueFd fd_;
  bool finished_ = false;
};

// Reads a segment's worth of blocks from the tail on, as the reaper does, and drops them from the
// contents.
void export_batch(Offline& offline, OpenLog& log, Batch& batch, Contents& contents, NewFile& to) {
  const std::uint64_t last = contents.end().sequence - 1;
  const std::uint64_t bytes = Batch::bytes_at_tail(contents, last);
  const std::uint64_t begin = contents.tail().offset;
  const IoStatus read = offline.run(log.device().read(begin, batch.memory().first(bytes)));
  if (!ok(read)) {
    fail(fmt::format("{} cannot be read at {} ({}): the file was removed, and the log is as it was",
                     log.device().name(), begin, to_string(read)));
  }
  if (const Result<void> begun = batch.begin(contents, last, bytes, log.device().name());
      !begun.ok()) {
    fail(begun.error().message);
  }
  const std::uint64_t block = log.superblock().block;
  std::vector<iovec> segments;
  while (const std::optional<Batch::Run> run = batch.take(&segments)) {
    const Bytes offset{run->lba.value() * block};
    if (run->kind == Kind::data) {
      to.write(offset, segments);
    } else {
      to.zero(offset, Bytes{run->blocks.value() * block});
    }
  }
  batch.drop_from(&contents);
}

const char* kind_of(const Range& range) {
  return range.zeros ? "zeros" : "data";
}

nlohmann::ordered_json as_json(const std::vector<Range>& ranges) {
  nlohmann::ordered_json all = nlohmann::ordered_json::array();
  for (const Range& range : ranges) {
    all.push_back({{"offset_bytes", range.offset.value()},
                   {"length_bytes", range.length.value()},
                   {"kind", kind_of(range)}});
  }
  return all;
}

void run(const Options& options) {
  const std::string log_path = path_of(options.log);
  const std::string file_path = path_of(options.file);
  Offline offline;
  OpenLog log{offline, log_path};
  Result<write_log::Found> found = log.scan();
  if (!found.ok()) {
    fail(found.error().message);
  }
  Contents& contents = found.value().contents;
  const std::vector<Range> ranges = ranges_of(contents);
  Batch batch{log.superblock(), {}};
  if (const char* const lacks = batch.lacks(); lacks != nullptr) {
    fail(fmt::format("{} cannot be exported: there is no {}", log_path, lacks));
  }
  // A LUN that shrank may have changes behind its end in the log.
  const Bytes end{contents.index().end().value() * log.superblock().block};
  NewFile to{file_path, std::max(log.superblock().lun, end)};
  while (blocks_of(contents) > 0) {
    export_batch(offline, log, batch, contents, to);
  }
  to.finish();
  if (options.json) {
    print_json({{"version", 1},
                {"report", "log_export"},
                {"log", log_path},
                {"file", file_path},
                {"ranges", as_json(ranges)}});
    return;
  }
  for (const Range& range : ranges) {
    fmt::print("{} {} {}\n", range.offset.value(), range.length.value(), kind_of(range));
  }
}

}  // namespace

void add_log_export(CLI::App& log) {
  CLI::App* const command =
      log.add_subcommand("export", "save what it has in a sparse file of the LUN's size");
  const auto options = std::make_shared<Options>();
  command->add_option("LOG", options->log, "the log's file or device")->required();
  command->add_option("FILE", options->file, "the file to make")->required();
  add_json_flag(*command, options->json);
  command->callback([options] { run(*options); });
}

}  // namespace ballast::ctl
