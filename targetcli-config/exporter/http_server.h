// SPDX-License-Identifier: Apache-2.0
// A small HTTP server for pages that are made when they are asked for. The protocol is civetweb's.
//
// It takes GET and HEAD, one request a connection. A fixed number of threads answer; further
// clients wait in a bounded queue and then in the kernel's. A client has `client_limit` to send its
// request, and as long again to take each part of the answer.
#pragma once

#include <civetweb.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "lib/base/result.h"
#include "targetcli-config/exporter/address.h"

namespace ballast::exporter {

inline constexpr int server_threads = 8;
inline constexpr std::chrono::milliseconds client_limit{5000};

struct Answer {
  int status = 200;
  const char* type = "text/plain; charset=utf-8";
  std::string body;
};

class HttpServer {
 public:
  // Answers a request for `path`, without its query. Called on several threads at once.
  using Handler = std::function<Answer(std::string_view path)>;
  // The error says why nobody can listen there.
  static Result<std::unique_ptr<HttpServer>> start(const Address& address, Handler handler);
  ~HttpServer();  // waits for the answers that are under way
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  // Where it listens; the port is the one that the kernel has chosen.
  Address address() const;

 private:
  HttpServer(Address address, Handler handler);
  Answer answer(const mg_request_info& request) const noexcept;
  static int on_request(mg_connection* connection) noexcept;

  const Address wanted_;
  const Handler handler_;
  mg_context* context_ = nullptr;
};

}  // namespace ballast::exporter
